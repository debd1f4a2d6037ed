package wire

import (
	"maps"
	"net/http"

	"github.com/go-json-experiment/json"
)

// answer writes what an operation gave.
func (s *Server) answer(w http.ResponseWriter, c *Call, service *Service, out any) {
	maps.Copy(w.Header(), c.header)
	var body []byte
	var err error
	switch c.Protocol {
	case Query:
		w.Header().Set("Content-Type", "text/xml")
		body, err = encodeXML(service, c, out)
	case RESTJSON:
		w.Header().Set("Content-Type", "application/json")
		body, err = encodeJSON(out, "{}")
	case JSON10, JSON11, Own:
		fallthrough
	default:
		w.Header().Set("Content-Type", contentType(c))
		body, err = encodeJSON(out, "{}")
	}
	if err != nil {
		s.fail(w, c, service, StatusErrorf(http.StatusInternalServerError, "InternalFailure", "encode the answer: %v", err))
		return
	}
	if c.Status == 0 {
		c.Status = http.StatusOK
	}
	s.remember(c, c.Status, "", "")
	w.WriteHeader(c.Status)
	_, _ = w.Write(body) // the client is gone
}

// Raw is an answer that goes out as it is, in the JSON protocols.
type Raw []byte

func encodeJSON(out any, empty string) ([]byte, error) {
	switch out := out.(type) {
	case nil:
		return []byte(empty), nil
	case Raw:
		return out, nil
	}
	return json.Marshal(out, json.FormatNilSliceAsNull(false))
}

func contentType(c *Call) string {
	if c.Protocol == JSON10 {
		return "application/x-amz-json-1.0"
	}
	return "application/x-amz-json-1.1"
}

// fail writes an error in the shape of the protocol.
func (s *Server) fail(w http.ResponseWriter, c *Call, service *Service, e *Error) {
	status := e.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	for k, v := range e.Header {
		w.Header().Set(k, v)
	}
	var body []byte
	switch c.Protocol {
	case Query:
		w.Header().Set("Content-Type", "text/xml")
		body = errorXML(service, c, e)
	case Own:
		w.Header().Set("Content-Type", "application/xml")
		body = s3ErrorXML(c, e)
	case RESTJSON:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Amzn-Errortype", e.Code)
		body = errorJSON(e, map[string]any{"Message": e.Message, "message": e.Message, "Code": e.Code})
	case JSON10, JSON11:
		fallthrough
	default:
		w.Header().Set("Content-Type", contentType(c))
		if e.QueryCode != "" {
			w.Header().Set("X-Amzn-Query-Error", e.QueryCode+";Sender")
		}
		kind := e.Code
		if service != nil && service.Shapes != "" {
			kind = service.Shapes + "#" + kind
		}
		body = errorJSON(e, map[string]any{"__type": kind, "message": e.Message})
	}
	s.remember(c, status, e.Code, e.Message)
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client is gone
}

func errorJSON(e *Error, body map[string]any) []byte {
	maps.Copy(body, e.Fields)
	b, err := json.Marshal(body, json.Deterministic(true))
	if err != nil {
		return []byte(`{}`)
	}
	return b
}
