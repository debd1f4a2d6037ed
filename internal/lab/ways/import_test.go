package ways

import (
	"example.org/catchment/internal/encode"
	"example.org/catchment/internal/importer"
	"example.org/catchment/internal/pipeline"
	"example.org/catchment/internal/source/files"
	"example.org/catchment/internal/store/s3"
)

// imported is the way that catchment import goes, from a way's bucket to another one. It knows of no arrival: folders are by
// the events' own times, or by the findings'. It is gone twice, which is to add nothing.
func (b *builder) imported(from *way) *way {
	b.t.Helper()
	v := &way{name: "import-" + from.name, by: byFinding}
	if from.name == wholeEvents {
		v.by = byEvent
	}
	b.bucket(v.name)
	compiled, err := pipeline.Compile([]pipeline.Stream{pipeline.DefaultStream()})
	b.must(err)
	cfg := b.config(b.regions[0])
	source, to := s3.Open(cfg, s3.Options{Bucket: from.name}), s3.Open(cfg, s3.Options{Bucket: v.name})
	var before int64
	for again := range 2 {
		found, err := files.Objects(b.t.Context(), source, "s3://"+from.name+"/", "AWSLogs/")
		b.must(err)
		var inputs []importer.Input
		for _, input := range found {
			inputs = append(inputs, input)
		}
		counts, err := importer.Run(b.t.Context(), inputs, importer.Options{
			Pipeline: compiled, Outputs: []importer.Output{{Compression: encode.Gzip, MaxBytes: 64 << 10}}, Store: to, Existing: to, TempDir: b.t.TempDir(),
		})
		b.must(err)
		if again == 1 && counts.Stored != before {
			b.t.Errorf("an import that was repeated stored %d lines, and the first time %d", counts.Stored, before)
		}
		before = counts.Stored
	}
	return v
}
