package finding

import (
	"crypto/sha256"
	"encoding/hex"

	"example.org/catchment/internal/scan"
)

// A Wrapped is a bare finding in the envelope that Security Hub would have sent it in.
type Wrapped struct {
	// Event is what a pattern sees. An Inspector finding that never went through Security Hub gets there the product
	// names that Security Hub would have added, so that the same pattern finds it.
	Event []byte
	// Plain is the same event around the finding's own bytes.
	Plain []byte
}

// Wrap puts a bare finding, which v views and raw holds, into an envelope. Everything in it follows from the finding,
// so that the same finding gives the same event: its id is made of the finding's bytes, its time is the finding's
// updated-at, and is left out where that is not understood.
func (v *View) Wrap(raw []byte) Wrapped {
	detailType := "Security Hub Findings - Imported"
	if v.Format == OCSF {
		detailType = "Findings Imported V2"
	}
	b := make([]byte, 0, len(raw)+1024)
	b = append(b, `{"version":"0","id":"`...)
	b = appendUUID(b, sha256.Sum256(raw))
	b = append(b, `","detail-type":"`+detailType+`","source":"aws.securityhub"`...)
	if account, err := v.Account(); err == nil {
		b = append(append(append(b, `,"account":"`...), account...), '"')
	}
	if t, ok := v.UpdatedAt(); ok {
		b = append(t.AppendFormat(append(b, `,"time":"`...), "2006-01-02T15:04:05Z"), '"')
	}
	if region, err := v.Region(nil); err == nil {
		b = append(append(append(b, `,"region":"`...), region...), '"')
	}
	b = append(b, `,"resources":[`...)
	b = v.appendResource(b)
	b = append(b, `],"detail":{"findings":[`...)
	plain := append(append(append(make([]byte, 0, len(b)+len(raw)+3), b...), raw...), "]}}"...)
	if v.Format != InspectorV2 && v.Format != InspectorClassic {
		return Wrapped{Event: plain, Plain: plain}
	}
	b = v.appendProduct(append(b, '{'))
	b = append(append(b, raw[1:]...), "]}}"...)
	return Wrapped{Event: b, Plain: plain}
}

// appendProduct writes the members that Security Hub would have added to an Inspector finding, each with a comma
// behind it. What the finding has itself stays the only one.
func (v *View) appendProduct(b []byte) []byte {
	if !v.present(slotProductName) {
		b = append(b, `"ProductName":"Inspector",`...)
	}
	if !v.present(slotCompanyName) {
		b = append(b, `"CompanyName":"Amazon",`...)
	}
	if v.present(slotProductFields) {
		return b
	}
	b = append(b, `"ProductFields":{`...)
	if v.Format == InspectorV2 {
		b = append(b, `"aws/inspector/ProductVersion":"2",`...)
	}
	return append(b, `"aws/securityhub/ProductName":"Inspector","aws/securityhub/CompanyName":"Amazon"},`...)
}

// appendResource writes what Security Hub names an event's resource: the product's ARN, a slash, the finding's id.
func (v *View) appendResource(b []byte) []byte {
	id := v.rawText(v.idSlot())
	arn := v.rawText(slotProductArn)
	if v.Format != ASFF || len(arn) == 0 {
		arn = nil
	}
	if len(id)+len(arn) == 0 {
		return b
	}
	b = append(b, '"')
	if len(arn) > 0 {
		b = append(append(b, arn...), '/')
	}
	return append(append(b, id...), '"')
}

// rawText is a string field's content as it is written, escapes and all.
func (v *View) rawText(s slot) []byte {
	if !v.has(s) {
		return nil
	}
	h := v.doc.Hits[v.hits[s]-1]
	if h.Kind != scan.String {
		return nil
	}
	return v.doc.Bytes[h.Start+1 : h.End-1]
}

// appendUUID writes a UUID of version 8 (RFC 9562, section 5.8): made by a scheme of our own.
func appendUUID(b []byte, sum [32]byte) []byte {
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	var text [32]byte
	hex.Encode(text[:], sum[:16])
	for i, part := range [][2]int{{0, 8}, {8, 12}, {12, 16}, {16, 20}, {20, 32}} {
		if i > 0 {
			b = append(b, '-')
		}
		b = append(b, text[part[0]:part[1]]...)
	}
	return b
}
