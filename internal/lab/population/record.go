package population

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/inspector2"
)

// A Published is one version of a finding that was handed to Security Hub.
type Published struct {
	Place       cloud.Place
	Product     string // Inspector, GuardDuty, Config, Security Hub
	ID          string // of the finding
	UpdatedAt   string // as it stands in the finding
	RecordState string // ACTIVE, ARCHIVED
	Digest      [32]byte

	// Taken tells whether Security Hub took it; Fault why not. A finding that is lost on the way by a fault of the lab was
	// taken as far as anybody can see. One that came after a newer version of it was not, though AWS says that it was.
	Taken bool
	Fault string
}

// Expected gives what was published, in order, for proofs to compare with what has arrived. It needs Options.Record.
func (p *Population) Expected() iter.Seq[Published] {
	p.mu.Lock()
	records := slices.Clip(p.records)
	p.mu.Unlock()
	return slices.Values(records)
}

// Unrecorded is how many were published beyond MaxRecords.
func (p *Population) Unrecorded() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost
}

// provided are the members of a finding that are its provider's alone: Security Hub and its users change others, and add
// to ProductFields.
var provided = []string{
	"AwsAccountId", "Compliance", "CreatedAt", "Description", "FirstObservedAt", "GeneratorId", "Id", "LastObservedAt", "Network", "NetworkPath",
	"ProductArn", "RecordState", "Remediation", "Resources", "SchemaVersion", "SourceUrl", "Title", "Types", "UpdatedAt", "Vulnerabilities",
}

// Digest is a hash of what the provider says in a finding of the AWS Security Finding Format, whatever the order and
// spacing of its members and whatever Security Hub has added: two are equal where the contents are.
func Digest(finding []byte) ([32]byte, error) {
	var members map[string]jsontext.Value
	if err := json.Unmarshal(finding, &members, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)); err != nil {
		return [32]byte{}, fmt.Errorf("digest of a finding: %w", err)
	}
	h := sha256.New()
	write := func(b []byte) {
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(b)))) // a hash takes everything
		_, _ = h.Write(b)
	}
	for _, name := range provided {
		v, ok := members[name]
		if !ok {
			continue
		}
		if err := v.Canonicalize(); err != nil {
			return [32]byte{}, fmt.Errorf("digest of a finding: member %s: %w", name, err)
		}
		write([]byte(name))
		write(v)
	}
	return [32]byte(h.Sum(nil)), nil
}

// importAnswer is what Security Hub answers; nothing where it is not on, or the product is not enabled.
type importAnswer struct {
	FailedFindings []struct {
		ErrorCode    string
		ErrorMessage string
	}
	SuccessCount int
	Older        int // of the lab: passed over, since a newer version was there
}

type publishedFields struct {
	ID          string `json:"Id"`
	UpdatedAt   string
	RecordState string
}

// record keeps one version. It requires that mu is not held.
func (p *Population) record(place cloud.Place, product string, finding, answer []byte, err error) {
	if !p.Record {
		return
	}
	var fields publishedFields
	if wrong := json.Unmarshal(finding, &fields); wrong != nil {
		p.fail(fmt.Errorf("record a finding: %w", wrong))
		return
	}
	r := Published{Place: place, Product: product, ID: fields.ID, UpdatedAt: fields.UpdatedAt, RecordState: fields.RecordState}
	digest, wrong := Digest(finding)
	if wrong != nil {
		p.fail(wrong)
		return
	}
	r.Digest = digest
	r.Taken, r.Fault = taken(answer, err)
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.records) >= p.MaxRecords {
		p.lost++
		return
	}
	p.records = append(p.records, r)
}

func taken(answer []byte, err error) (bool, string) {
	if err != nil {
		return false, err.Error()
	}
	var a importAnswer
	if wrong := json.Unmarshal(answer, &a); len(answer) > 0 && wrong != nil {
		return false, wrong.Error()
	}
	if len(a.FailedFindings) > 0 {
		return false, a.FailedFindings[0].ErrorCode + ": " + a.FailedFindings[0].ErrorMessage
	}
	if a.Older > 0 {
		return false, "a newer version was there"
	}
	return a.SuccessCount > 0, ""
}

func (p *Population) recordInspector(pub inspector2.Publication) {
	p.record(pub.Place, "Inspector", pub.ASFF, pub.Answer, pub.Err)
}
