package s3

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"

	"example.org/catchment/internal/lab/wire"
)

// This file takes bodies out of aws-chunked, the form in which SDKs send what they do not want to read twice.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html

// The values of x-amz-content-sha256 that announce chunks.
const (
	streamSigned        = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	streamSignedTrailer = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	streamTrailer       = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
)

const (
	leastChunk = 8192 // bytes of all chunks but the last
	mostLine   = 1024 // bytes of a chunk's size and signature, and of a trailer
	mostLines  = 16   // of a trailer
)

// unchunk is the body as the client meant it, and the trailer.
func (r *request) unchunk() (body []byte, trailer map[string]string, err error) {
	mode := r.header("X-Amz-Content-Sha256")
	if !strings.HasPrefix(mode, "STREAMING-") {
		return r.Body, nil, nil
	}
	var check checker
	switch mode {
	case streamTrailer:
		check = func(string, ...string) string { return "" }
	case streamSigned, streamSignedTrailer:
		seal, ok := r.Seal()
		if !ok {
			return nil, nil, badRequest("InvalidRequest", "Chunks can be signed only where the request is signed in its headers")
		}
		check = seal.Next
	default:
		return nil, nil, notImplemented("x-amz-content-sha256")
	}
	length, err := strconv.ParseInt(r.header("X-Amz-Decoded-Content-Length"), 10, 64)
	if err != nil || length < 0 {
		return nil, nil, wire.StatusErrorf(http.StatusLengthRequired, "MissingContentLength",
			"You must provide the Content-Length HTTP header.")
	}
	body, trailer, err = readChunks(r.Body, mode != streamTrailer, check)
	if err != nil {
		return nil, nil, err
	}
	if int64(len(body)) != length {
		return nil, nil, incompleteBody()
	}
	return body, trailer, nil
}

func incompleteBody() error {
	return badRequest("IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header")
}

func wrongSignature() error {
	return wire.StatusErrorf(http.StatusForbidden, "SignatureDoesNotMatch", "The request signature we calculated does not match the "+
		"signature you provided. Check your key and signing method.")
}

// A checker gives the next signature: wire.Seal.Next.
type checker func(kind string, hashes ...string) string

// readChunks takes chunks apart. Where they are signed, so is the trailer, and check says how.
func readChunks(raw []byte, signed bool, check checker) (body []byte, trailer map[string]string, err error) {
	body = make([]byte, 0, len(raw))
	empty := hashOf(nil)
	for short := false; ; {
		line, rest, ok := cutLine(raw)
		if !ok {
			return nil, nil, incompleteBody()
		}
		text, extension, _ := strings.Cut(line, ";")
		size, err := strconv.ParseUint(text, 16, 62)
		if err != nil {
			return nil, nil, badRequest("InvalidRequest", "The chunk size %.20q is invalid", text)
		}
		if size > uint64(len(rest)) {
			return nil, nil, incompleteBody()
		}
		chunk := rest[:size]
		if signed {
			signature, ok := strings.CutPrefix(extension, "chunk-signature=")
			if !ok || signature != check("AWS4-HMAC-SHA256-PAYLOAD", empty, hashOf(chunk)) {
				return nil, nil, wrongSignature()
			}
		}
		raw = rest[size:]
		if size == 0 {
			trailer, err = readTrailer(raw, signed, check)
			return body, trailer, err
		}
		if short {
			return nil, nil, wire.StatusErrorf(http.StatusForbidden, "InvalidChunkSizeError", "Only the last chunk is allowed to have a size less than 8192 bytes")
		}
		short = size < leastChunk
		body = append(body, chunk...)
		if raw, ok = bytes.CutPrefix(raw, []byte("\r\n")); !ok {
			return nil, nil, incompleteBody()
		}
	}
}

// readTrailer reads the lines after the last chunk, by their names in lower case. They may end in LF alone.
func readTrailer(raw []byte, signed bool, check checker) (map[string]string, error) {
	malformed := badRequest("MalformedTrailerError", "The request contained trailing data that was not well-formed or did not conform to our published schema.")
	out := make(map[string]string)
	var canonical, signature string
	for lines := 0; len(raw) > 0; lines++ {
		line, rest, _ := bytes.Cut(raw, []byte("\n"))
		raw = rest
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) == 0 {
			continue
		}
		name, value, ok := strings.Cut(string(line[:min(len(line), mostLine)]), ":")
		if !ok || lines >= mostLines {
			return nil, malformed
		}
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if name == "x-amz-trailer-signature" {
			signature = value
			continue
		}
		out[name] = value
		canonical += name + ":" + value + "\n"
	}
	if signed && canonical != "" && signature != check("AWS4-HMAC-SHA256-TRAILER", hashOf([]byte(canonical))) {
		return nil, wrongSignature()
	}
	return out, nil
}

// cutLine takes what stands before the first CRLF.
func cutLine(raw []byte) (line string, rest []byte, ok bool) {
	i := bytes.Index(raw[:min(len(raw), mostLine)], []byte("\r\n"))
	if i < 0 {
		return "", nil, false
	}
	return string(raw[:i]), raw[i+2:], true
}

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
