// Package finding is one view over the findings that AWS sends in several shapes.
//
// The shapes are ASFF (Security Hub CSPM), OCSF (the new Security Hub), native Inspector v2 and Inspector Classic. A
// View points into the document that was scanned; nothing is decoded that is not asked for.
package finding

import (
	"bytes"
	"sort"
	"strconv"
	"time"

	"example.org/catchment/internal/scan"
)

// A Format is the shape of a finding.
type Format uint8

// The shapes of findings.
const (
	Unknown          Format = iota
	ASFF                    // AwsSecurityFinding: Security Hub CSPM, BatchImportFindings, GetFindings
	OCSF                    // Findings Imported V2, GetFindingsV2
	InspectorV2             // Inspector2 Finding, inspector2:ListFindings
	InspectorClassic        // inspector:DescribeFindings
)

func (f Format) String() string {
	return [...]string{"unknown", "ASFF", "OCSF", "Inspector v2", "Inspector Classic"}[f]
}

// A slot is a field that some shape of finding has.
type slot int8

const (
	slotID slot = iota // ASFF
	slotProductArn
	slotAccount
	slotRegion
	slotUpdatedAt
	slotCreatedAt
	slotTitle
	slotSeverityLabel
	slotSeverityNormalized
	slotProviderSeverity
	slotProductName
	slotCompanyName
	slotProductFields
	slotProductFieldsName
	slotClassUID // OCSF
	slotInfoUID
	slotInfoTitle
	slotModified
	slotModifiedText
	slotTime
	slotTimeText
	slotCloudAccount
	slotCloudRegion
	slotMetaProduct
	slotMetaProductUID
	slotSeverityID
	slotLowerSeverity // OCSF, Inspector v2 and Classic
	slotLowerTitle    // Inspector v2 and Classic
	slotLowerUpdatedAt
	slotLowerCreatedAt
	slotFirstObserved
	slotLastObserved
	slotFindingArn // Inspector v2
	slotLowerAccount
	slotArn // Inspector Classic
	slots
)

var slotPaths = [slots][]string{
	slotID: {"Id"}, slotProductArn: {"ProductArn"}, slotAccount: {"AwsAccountId"}, slotRegion: {"Region"},
	slotUpdatedAt: {"UpdatedAt"}, slotCreatedAt: {"CreatedAt"}, slotTitle: {"Title"},
	slotSeverityLabel: {"Severity", "Label"}, slotSeverityNormalized: {"Severity", "Normalized"},
	slotProviderSeverity: {"FindingProviderFields", "Severity", "Label"},
	slotProductName:      {"ProductName"}, slotCompanyName: {"CompanyName"},
	slotProductFields: {"ProductFields"}, slotProductFieldsName: {"ProductFields", "aws/securityhub/ProductName"},
	slotClassUID: {"class_uid"}, slotInfoUID: {"finding_info", "uid"}, slotInfoTitle: {"finding_info", "title"},
	slotModified: {"finding_info", "modified_time"}, slotModifiedText: {"finding_info", "modified_time_dt"},
	slotTime: {"time"}, slotTimeText: {"time_dt"},
	slotCloudAccount: {"cloud", "account", "uid"}, slotCloudRegion: {"cloud", "region"},
	slotMetaProduct: {"metadata", "product", "name"}, slotMetaProductUID: {"metadata", "product", "uid"},
	slotSeverityID: {"severity_id"}, slotLowerSeverity: {"severity"}, slotLowerTitle: {"title"}, slotLowerUpdatedAt: {"updatedAt"}, slotLowerCreatedAt: {"createdAt"},
	slotFirstObserved: {"firstObservedAt"}, slotLastObserved: {"lastObservedAt"},
	slotFindingArn: {"findingArn"}, slotLowerAccount: {"awsAccountId"}, slotArn: {"arn"},
}

// Fields knows where, below some base, the fields of a finding stand in a scanned document.
type Fields struct {
	slot      []int8      // by path number; -1: none of a finding's
	resources *scan.Paths // of a finding by itself: the regions of its resources, which hardly any finding needs
}

// NewFields wants a finding's fields below base. Add all paths before the first View: it needs to know them.
func NewFields(paths *scan.Paths, base ...string) *Fields {
	numbers := [slots]int{}
	for s, path := range slotPaths {
		numbers[s] = paths.Add(append(append([]string(nil), base...), path...)...)
	}
	f := &Fields{slot: make([]int8, paths.Len()), resources: scan.NewPaths()}
	for _, path := range [][]string{{"Resources", "Region"}, {"resources", "region"}, {"resource", "region"}} {
		f.resources.Add(path...)
	}
	for i := range f.slot {
		f.slot[i] = -1
	}
	for s, number := range numbers {
		f.slot[number] = int8(s)
	}
	return f
}

// A View is a finding in a scanned document. It is valid until the document is scanned again.
type View struct {
	Format  Format
	doc     *scan.Document
	fields  *Fields
	raw     []byte       // the finding
	hits    [slots]int32 // index into doc.Hits, plus one
	scratch []byte
	again   scan.Document // of the finding by itself
}

// View reads the finding whose value spans start to end of the document, at array position pos.
func (f *Fields) View(v *View, doc *scan.Document, start, end, pos int32) {
	v.doc, v.fields, v.raw, v.hits, v.scratch = doc, f, doc.Bytes[start:end], [slots]int32{}, v.scratch[:0]
	// An event can hold a hundred thousand findings: those before are not gone through for each.
	first := sort.Search(len(doc.Hits), func(i int) bool { return doc.Hits[i].Start >= start })
	for i := first; i < len(doc.Hits); i++ {
		h := &doc.Hits[i]
		if h.Start >= end {
			break
		}
		if h.Dotted || int(h.Path) >= len(f.slot) {
			continue
		}
		s := f.slot[h.Path]
		if s < 0 || v.hits[s] != 0 || h.Pos != pos {
			continue // h.Pos: an element of an array where one value is expected
		}
		v.hits[s] = int32(i) + 1 //nolint:gosec // an index into the hits
	}
	v.Format = v.format()
}

// present tells whether a field is there, if only as null.
func (v *View) present(s slot) bool { return v.hits[s] != 0 }

// has tells whether a field is there; null is as good as nothing.
func (v *View) has(s slot) bool {
	return v.hits[s] != 0 && v.doc.Hits[v.hits[s]-1].Kind != scan.Null
}

func (v *View) format() Format {
	switch {
	case v.has(slotFindingArn):
		return InspectorV2
	case v.has(slotProductArn), v.has(slotAccount) && v.has(slotID):
		return ASFF
	case v.has(slotClassUID) && (v.has(slotInfoUID) || v.has(slotMetaProduct)):
		return OCSF
	case v.has(slotArn) && arnPart(v.text(slotArn), arnService) == "inspector":
		return InspectorClassic
	case v.has(slotAccount):
		return ASFF
	}
	return Unknown
}

// text is a field's content, nil where it is missing or no string.
func (v *View) text(s slot) []byte {
	if !v.has(s) {
		return nil
	}
	h := v.doc.Hits[v.hits[s]-1]
	if h.Kind != scan.String {
		return nil
	}
	if !h.Escaped {
		return v.doc.Bytes[h.Start+1 : h.End-1]
	}
	from := len(v.scratch)
	v.scratch = v.doc.Text(h, v.scratch)
	return v.scratch[from:]
}

func (v *View) first(wanted ...slot) []byte {
	for _, s := range wanted {
		if t := v.text(s); len(t) > 0 {
			return t
		}
	}
	return nil
}

// ID is the finding's id: unique within its product.
func (v *View) ID() []byte { return v.first(v.idSlot()) }

func (v *View) idSlot() slot {
	switch v.Format {
	case OCSF:
		return slotInfoUID
	case InspectorV2:
		return slotFindingArn
	case InspectorClassic:
		return slotArn
	case ASFF, Unknown:
	}
	return slotID
}

// Title is the finding's title. It is text that an attacker may have influenced.
func (v *View) Title() []byte { return v.first(slotTitle, slotInfoTitle, slotLowerTitle) }

// Product is the name of the product that found it, as Security Hub writes it.
func (v *View) Product() []byte {
	switch v.Format {
	case InspectorV2, InspectorClassic:
		return []byte("Inspector")
	case OCSF:
		return v.first(slotMetaProduct)
	case ASFF, Unknown:
	}
	return v.first(slotProductFieldsName, slotProductName)
}

// Severity is the label: INFORMATIONAL, LOW, MEDIUM, HIGH or CRITICAL, or what the product wrote, in upper case.
func (v *View) Severity() []byte {
	if label := v.first(slotSeverityLabel, slotLowerSeverity); label != nil {
		return bytes.ToUpper(label)
	}
	if n := v.number(slotSeverityNormalized); n != nil {
		return labelOf(n)
	}
	if n := v.number(slotSeverityID); n != nil {
		return labelOfID(n)
	}
	if label := v.first(slotProviderSeverity); label != nil { // in a finding on its way into Security Hub
		return bytes.ToUpper(label)
	}
	return nil
}

// number is a field's number as it is written, nil where it is missing or none.
func (v *View) number(s slot) []byte {
	if !v.has(s) {
		return nil
	}
	if h := v.doc.Hits[v.hits[s]-1]; h.Kind == scan.Number {
		return v.doc.Raw(h)
	}
	return nil
}

// labelOfID is OCSF's own table (schema.ocsf.io, severity_id).
func labelOfID(id []byte) []byte {
	labels := [...]string{"UNKNOWN", "INFORMATIONAL", "LOW", "MEDIUM", "HIGH", "CRITICAL", "FATAL"}
	if len(id) != 1 || int(id[0]-'0') >= len(labels) {
		return nil
	}
	return []byte(labels[id[0]-'0'])
}

// labelOf is ASFF's own table (Security Hub user guide, "Severity"): 0, 1–39, 40–69, 70–89, 90–100.
func labelOf(normalized []byte) []byte {
	n, err := strconv.ParseFloat(string(normalized), 64)
	switch {
	case err != nil || n < 0 || n > 100:
		return nil
	case n == 0:
		return []byte("INFORMATIONAL")
	case n < 40:
		return []byte("LOW")
	case n < 70:
		return []byte("MEDIUM")
	case n < 90:
		return []byte("HIGH")
	}
	return []byte("CRITICAL")
}

// UpdatedAt is when this version of the finding was made; ok is false where no time can be understood. It falls back
// to the other times that the finding carries.
func (v *View) UpdatedAt() (t time.Time, ok bool) {
	for _, s := range []slot{
		slotUpdatedAt, slotLowerUpdatedAt, slotModifiedText, slotModified, slotTimeText, slotTime,
		slotLastObserved, slotCreatedAt, slotLowerCreatedAt, slotFirstObserved,
	} {
		if v.has(s) {
			if t, ok = v.timeOf(s); ok {
				return t, true
			}
		}
	}
	return time.Time{}, false
}

func (v *View) timeOf(s slot) (time.Time, bool) {
	h := v.doc.Hits[v.hits[s]-1]
	if h.Kind == scan.Number {
		return ParseEpoch(v.doc.Raw(h))
	}
	return ParseTime(v.text(s))
}

// Version tells one state of the finding from another: the text of its updated-at, as it was written. A native finding
// may have none; then it is when it was last observed.
func (v *View) Version() []byte {
	for _, s := range []slot{slotUpdatedAt, slotLowerUpdatedAt, slotModifiedText, slotModified, slotTimeText, slotTime, slotLastObserved} {
		if n := v.number(s); n != nil {
			return n
		}
		if t := v.text(s); len(t) > 0 {
			return t
		}
	}
	return nil
}
