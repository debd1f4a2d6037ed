package firehose

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"example.org/catchment/internal/document"
	"example.org/catchment/internal/prefix"
	"example.org/catchment/internal/scan"
)

// ordered gives the batches of a stream by the age of what is in them, and then by where they go.
func (st *stream) ordered() []*batch {
	return slices.SortedFunc(maps.Keys(st.batches), func(a, b *batch) int {
		return cmp.Or(a.oldest.Compare(b.oldest), cmp.Compare(a.records[0].sequence, b.records[0].sequence), cmp.Compare(a.stage, b.stage),
			cmp.Compare(a.prefix, b.prefix), cmp.Compare(a.kind, b.kind), cmp.Compare(a.records[0].part, b.records[0].part))
	})
}

// maxParts is how many records may be in one; beyond that it stays whole.
const maxParts = 500

// accept takes a record in. Requires that mu is held.
func (s *Service) accept(st *stream, data []byte, now time.Time) {
	p := st.plan
	st.sequence++
	st.counts.IncomingRecords++
	st.counts.IncomingBytes += int64(len(data))
	whole := record{sequence: st.sequence, arrival: now, raw: data, data: data}
	if p.backup != nil {
		s.add(st, p, target{stage: toBackup}, whole)
	}
	for i, part := range p.split.parts(data) {
		r := whole
		r.part, r.raw, r.data = i, part, part
		st.counts.Records++
		if p.transform != nil {
			s.add(st, p, target{stage: toFunction}, r)
			continue
		}
		s.route(st, p, r, 1)
	}
}

// parts takes a record apart. What it cannot take apart it leaves whole.
func (c *splitting) parts(data []byte) [][]byte {
	var out [][]byte
	switch {
	case c.json:
		out = objects(data)
	case c.delimiter != nil:
		for part := range bytes.SplitSeq(data, c.delimiter) {
			if len(part) > 0 {
				out = append(out, part)
			}
		}
	}
	if len(out) == 0 || len(out) > maxParts {
		return [][]byte{data}
	}
	return out
}

// objects are the JSON objects that stand one behind the other in a record, and what follows the last one that is whole.
func objects(data []byte) [][]byte {
	var out [][]byte
	var d scan.Document
	for rest := blank(data); len(rest) > 0 && len(out) <= maxParts; {
		n, err := d.Scan(rest, nothingWanted)
		if err != nil || rest[0] != '{' {
			return append(out, rest)
		}
		out = append(out, rest[:n:n])
		rest = blank(rest[n:])
	}
	return out
}

var nothingWanted = scan.NewPaths()

// blank goes over white space.
func blank(b []byte) []byte { return bytes.TrimLeft(b, " \t\r\n") }

// route puts a processed record where it is delivered from. Requires that mu is held.
func (s *Service) route(st *stream, p *plan, r record, attempts int) {
	if p.keys == nil {
		s.add(st, p, target{stage: toData}, r)
		return
	}
	evaluated, err := p.keys.prefix(&r)
	if err != nil {
		s.reject(st, p, processingFailed, "DynamicPartitioning.MetadataExtractionFailed", err.Error(), []record{r}, attempts)
		return
	}
	if st.partitions[evaluated] == 0 && len(st.partitions) >= s.settings.ActivePartitions {
		s.reject(st, p, partitionExceeded, "DynamicPartitioning.ActivePartitionExceeded",
			fmt.Sprintf("The stream has %d active partitions.", len(st.partitions)), []record{r}, attempts)
		return
	}
	s.add(st, p, target{stage: toData, prefix: evaluated}, r)
}

// Why a record has no partition.
var (
	errNullKey  = errors.New("partitionKeys values must not be null or empty")
	errNoObject = errors.New("the record is no JSON object")
)

// prefix evaluates a record's prefix. Each random string in it is one 0x00 byte.
func (k *keys) prefix(r *record) (string, error) {
	var found [][]byte
	if k.source != "" {
		n, err := k.document.Scan(r.data, k.paths)
		if err != nil {
			return "", fmt.Errorf("%w: %w", errNoObject, err)
		}
		if len(blank(r.data[n:])) > 0 {
			return "", fmt.Errorf("%w: something follows it", errNoObject)
		}
		if name, twice := k.document.Duplicate(); twice {
			return "", fmt.Errorf("the record gives the field %q twice", name)
		}
		root := slices.IndexFunc(k.document.Hits, func(h scan.Hit) bool { return int(h.Path) == k.binding.Root() })
		if root < 0 {
			return "", errNoObject
		}
		if found, err = k.selector.Select(&k.document, root); err != nil {
			return "", partitionError(err)
		}
	}
	for i, from := range k.order {
		if from.name == "" {
			k.values[i] = found[from.query]
			continue
		}
		k.values[i] = []byte(r.keys[from.name])
	}
	evaluated, err := k.evaluator.AppendBytes(nil, r.arrival, k.values)
	if err != nil {
		return "", partitionError(err)
	}
	return string(evaluated), nil
}

// partitionError says of a missing value what AWS says.
func partitionError(err error) error {
	if r, ok := errors.AsType[*prefix.RecordError](err); ok && (r.Code == prefix.CodeKeyNull || r.Code == prefix.CodeKeyEmpty) {
		return fmt.Errorf("%w: %w", errNullKey, err)
	}
	return err
}

// maxMessage bounds the message of an error record, bytes.
const maxMessage = 8192

// reject writes error records. Their arrival is the records', and so is what stands in rawData. Requires that mu is held.
func (s *Service) reject(st *stream, p *plan, kind, code, message string, records []record, attempts int) {
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + "…"
	}
	st.counts.Failures[code] += len(records)
	for _, r := range records {
		e := document.ErrorRecord{
			Attempts: attempts, Arrival: r.arrival, Code: code, Message: message, Ended: s.cloud.Clock.Now(), Raw: r.raw,
		}
		if strings.HasPrefix(code, "Lambda.") {
			e.LambdaARN = p.transform.arn
		}
		if kind == endpointFailed {
			e.DataID = fmt.Sprintf("%056d.0", r.sequence)
		}
		r.data = e.Append(nil)
		s.add(st, p, target{stage: toErrors, kind: kind}, r)
	}
}
