package wire

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/http"
)

// decodeForm reads a form into a struct. Owned by the query protocol's author.
func decodeForm(_ *Call, _ any) error { return fmt.Errorf("the Query protocol is not there yet") }

func encodeXML(_ *Service, _ *Call, _ any) ([]byte, error) {
	return nil, fmt.Errorf("the Query protocol is not there yet")
}

// errorXML is an error in the Query protocol.
func errorXML(service *Service, c *Call, e *Error) []byte {
	code := e.Code
	if e.QueryCode != "" {
		code = e.QueryCode
	}
	fault := "Sender"
	if e.Status >= http.StatusInternalServerError {
		fault = "Receiver"
	}
	var b bytes.Buffer
	b.WriteString("<ErrorResponse")
	if service != nil && service.Namespace != "" {
		fmt.Fprintf(&b, " xmlns=%q", service.Namespace)
	}
	b.WriteString("><Error><Type>" + fault + "</Type><Code>")
	escapeXML(&b, code)
	b.WriteString("</Code><Message>")
	escapeXML(&b, e.Message)
	b.WriteString("</Message></Error><RequestId>" + c.RequestID + "</RequestId></ErrorResponse>")
	return b.Bytes()
}

// s3ErrorXML is an error of S3. https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
func s3ErrorXML(c *Call, e *Error) []byte {
	var b bytes.Buffer
	b.WriteString(xml.Header + "<Error><Code>")
	code := e.Code
	if code == "AccessDeniedException" {
		code = "AccessDenied"
	}
	escapeXML(&b, code)
	b.WriteString("</Code><Message>")
	escapeXML(&b, e.Message)
	b.WriteString("</Message><Resource>")
	escapeXML(&b, c.HTTP.URL.Path)
	b.WriteString("</Resource><RequestId>" + c.RequestID + "</RequestId></Error>")
	return b.Bytes()
}

func escapeXML(b *bytes.Buffer, s string) {
	_ = xml.EscapeText(b, []byte(s)) // a bytes.Buffer takes everything
}
