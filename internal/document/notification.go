package document

import (
	"bytes"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Notification takes a message out of the envelope that SNS puts around it for a queue without raw delivery. Anything
// else comes back as it is.
// https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
func Notification(b []byte) []byte {
	if !bytes.Contains(b, []byte(`"Notification"`)) { // most are none: spare the decoding
		return b
	}
	var m struct {
		Type     string
		TopicARN string `json:"TopicArn"`
		Message  *string
	}
	err := json.Unmarshal(b, &m, jsontext.AllowInvalidUTF8(true))
	if err != nil || m.Type != "Notification" || m.TopicARN == "" || m.Message == nil {
		return b
	}
	return []byte(*m.Message)
}
