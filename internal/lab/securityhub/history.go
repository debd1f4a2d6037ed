package securityhub

import (
	"bytes"
	"slices"
	"time"

	"example.org/catchment/internal/lab/wire"
)

// Who can change a finding.
const (
	byImport = "BATCH_IMPORT_FINDINGS"
	byUpdate = "BATCH_UPDATE_FINDINGS"
)

// A change is one update of a finding.
type change struct {
	at      time.Time
	created bool
	kind    string // byImport or byUpdate
	who     string // product or principal
	updates []fieldChange
}

type fieldChange struct {
	UpdatedField string
	OldValue     string `json:",omitempty"`
	NewValue     string `json:",omitempty"`
}

// Bounds of what is remembered of a finding.
const (
	maxChanges     = 100 // the newest; AWS answers with at most 100
	maxChangeValue = 512 // bytes of a value
)

// remember keeps a change of a finding.
func (r *record) remember(now time.Time, c change) {
	c.at = now
	if len(r.changes) >= maxChanges {
		r.changes = slices.Delete(r.changes, 0, 1)
	}
	r.changes = append(r.changes, c)
}

// timestamps are the members that a history leaves out.
var timestamps = []string{"CreatedAt", "UpdatedAt", "ProcessedAt", "FirstObservedAt", "LastObservedAt"}

// differences lists the members of a finding that have changed.
func differences(before, after object) []fieldChange {
	var out []fieldChange
	for _, m := range after {
		if was := before.get(m.name); !bytes.Equal(was, m.value) && !slices.Contains(timestamps, m.name) {
			out = append(out, fieldChange{m.name, cut(was), cut(m.value)})
		}
	}
	for _, m := range before {
		if after.get(m.name) == nil && !slices.Contains(timestamps, m.name) {
			out = append(out, fieldChange{m.name, cut(m.value), ""})
		}
	}
	return out
}

func cut(b []byte) string {
	if len(b) > maxChangeValue {
		b = b[:maxChangeValue]
	}
	return string(bytes.ToValidUTF8(b, nil))
}

type historyInput struct {
	FindingIdentifier findingIdentifier
	StartTime         string
	EndTime           string
	NextToken         string
	MaxResults        int
}

type historyRecord struct {
	FindingIdentifier findingIdentifier
	UpdateTime        string
	FindingCreated    bool
	UpdateSource      updateSource
	Updates           []fieldChange
}

type updateSource struct{ Type, Identity string }

type historyOutput struct {
	Records   []historyRecord
	NextToken string `json:",omitempty"`
}

// getFindingHistory gives the newest change first. Values longer than 512 bytes are cut.
func (s *Service) getFindingHistory(c *wire.Call, _ *hub, in *historyInput) (*historyOutput, error) {
	if in.FindingIdentifier.ID == "" || in.FindingIdentifier.ProductARN == "" {
		return nil, invalidInput("Invalid parameter 'FindingIdentifier'. data should have required properties 'Id' and 'ProductArn'")
	}
	start, end := parseTime(in.StartTime), parseTime(in.EndTime)
	if in.StartTime != "" && start.IsZero() || in.EndTime != "" && end.IsZero() {
		return nil, invalidInput("Invalid parameter 'StartTime' or 'EndTime'. data should match format date-time")
	}
	r := s.find(c.Place, findingKey{in.FindingIdentifier.ProductARN, in.FindingIdentifier.ID})
	if r == nil {
		return nil, invalidInput("Finding %s is not found", in.FindingIdentifier.ID)
	}
	all := append([]change{{at: r.created, created: true, kind: byImport, who: r.key.product}}, r.changes...)
	slices.Reverse(all)
	var records []historyRecord
	for _, ch := range all {
		if ch.at.Before(start) || !end.IsZero() && ch.at.After(end) {
			continue
		}
		records = append(records, historyRecord{in.FindingIdentifier, stamp(ch.at), ch.created, updateSource{ch.kind, ch.who}, ch.updates})
	}
	page, next, err := pageBy(s, c, records, 100, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &historyOutput{page, next}, nil
}
