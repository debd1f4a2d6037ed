package inspector2_test

import (
	"bytes"
	"io"
)

// seen reads a body, tells it, and gives it back.
func seen(body io.ReadCloser, tell func(string)) (io.ReadCloser, error) {
	b, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	tell(string(b))
	return io.NopCloser(bytes.NewReader(b)), body.Close()
}
