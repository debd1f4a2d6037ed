package s3_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"example.org/catchment/internal/lab/labtest"
)

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func hexOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func crcOf(text string) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(text))))
}

// A stream is a put in chunks.
type stream struct {
	mode    string
	chunks  []string
	trailer string // its checksum; empty: none is announced
	header  map[string]string
	damage  func(body string) string
}

// send puts at key, and gives the status and the code of the answer.
func (l *lab) send(t *testing.T, key string, st stream) (int, string) {
	t.Helper()
	length := len(strings.Join(st.chunks, ""))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, l.server.URL+"/"+bucket+"/"+key, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Content-Sha256", st.mode)
	r.Header.Set("X-Amz-Decoded-Content-Length", strconv.Itoa(length))
	r.Header.Set("Content-Encoding", "aws-chunked")
	if st.trailer != "" {
		r.Header.Set("X-Amz-Trailer", "x-amz-checksum-crc32")
	}
	for name, value := range st.header {
		r.Header.Set(name, value)
	}
	credential := l.cloud.Accounts.Credential(labtest.Administrator)
	sdk, err := l.server.Config(labtest.Administrator, labtest.Region).Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 22, 13, 14, 15, 0, time.UTC)
	if err := v4.NewSigner().SignHTTP(t.Context(), sdk, r, st.mode, "s3", labtest.Region, now); err != nil {
		t.Fatal(err)
	}
	_, last, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
	signing := mac(mac(mac(mac([]byte("AWS4"+credential.SecretKey), "20261122"), labtest.Region), "s3"), "aws4_request")
	scope := "20261122/" + labtest.Region + "/s3/aws4_request"
	next := func(lines ...string) string {
		last = hex.EncodeToString(mac(signing, strings.Join(append([]string{lines[0], "20261122T131415Z", scope, last}, lines[1:]...), "\n")))
		return last
	}
	var b strings.Builder
	for _, c := range append(st.chunks, "") {
		extension := ""
		if strings.HasPrefix(st.mode, "STREAMING-AWS4-HMAC-SHA256") {
			extension = ";chunk-signature=" + next("AWS4-HMAC-SHA256-PAYLOAD", hexOf(""), hexOf(c))
		}
		fmt.Fprintf(&b, "%x%s\r\n%s", len(c), extension, c)
		if c != "" {
			b.WriteString("\r\n")
		}
	}
	if st.trailer != "" {
		b.WriteString("x-amz-checksum-crc32:" + st.trailer + "\r\n")
		if strings.HasPrefix(st.mode, "STREAMING-AWS4-HMAC-SHA256") {
			b.WriteString("x-amz-trailer-signature:" + next("AWS4-HMAC-SHA256-TRAILER", hexOf("x-amz-checksum-crc32:"+st.trailer+"\n")) + "\r\n")
		}
	}
	b.WriteString("\r\n")
	body := b.String()
	if st.damage != nil {
		body = st.damage(body)
	}
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	return response.StatusCode, response.Header.Get("X-Lab-Error")
}

func TestBodiesInChunksAreCheckedAndStoredWithoutThem(t *testing.T) {
	const (
		signed        = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
		signedTrailer = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
		trailer       = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	)
	l := newLab(t)
	large := strings.Repeat("0123456789abcdef", 4096)
	both := []string{large, "end"}
	for name, tt := range map[string]struct {
		stream
		failure string
	}{
		"signed":                         {stream: stream{mode: signed, chunks: both}},
		"signed, nothing in it":          {stream: stream{mode: signed}},
		"signed, with a trailer":         {stream: stream{mode: signedTrailer, chunks: both, trailer: crcOf(large + "end")}},
		"not signed, with a trailer":     {stream: stream{mode: trailer, chunks: both, trailer: crcOf(large + "end")}},
		"with a checksum in a header":    {stream: stream{mode: signed, chunks: both, header: map[string]string{"X-Amz-Checksum-Crc32": crcOf(large + "end")}}},
		"with another in a header":       {stream{mode: signed, chunks: both, header: map[string]string{"X-Amz-Checksum-Crc32": crcOf("x")}}, "BadDigest"},
		"with another in the trailer":    {stream{mode: trailer, chunks: both, trailer: crcOf("x")}, "BadDigest"},
		"with a trailer that is missing": {stream{mode: trailer, chunks: both, header: map[string]string{"X-Amz-Trailer": "x-amz-checksum-crc32"}}, "MalformedTrailerError"},
		"with a trailer of another kind": {stream{mode: trailer, chunks: both, header: map[string]string{"X-Amz-Trailer": "x-amz-meta-a"}}, "InvalidRequest"},
		"with an algorithm alone":        {stream{mode: signed, chunks: both, header: map[string]string{"X-Amz-Sdk-Checksum-Algorithm": "CRC32"}}, "InvalidRequest"},
		"with two checksums": {stream{mode: signed, chunks: both, header: map[string]string{
			"X-Amz-Checksum-Crc32": crcOf(large + "end"), "X-Amz-Checksum-Sha1": "x",
		}}, "InvalidRequest"},
		"a byte is another one": {stream{mode: signed, chunks: both, damage: func(b string) string { return strings.Replace(b, "end", "END", 1) }}, "SignatureDoesNotMatch"},
		"the trailer is another one": {stream{mode: signedTrailer, chunks: both, trailer: crcOf("x"), damage: func(b string) string {
			return strings.Replace(b, crcOf("x"), crcOf("y"), 1)
		}}, "SignatureDoesNotMatch"},
		"cut off":             {stream{mode: signed, chunks: both, damage: func(b string) string { return b[:len(b)/2] }}, "IncompleteBody"},
		"shorter than stated": {stream{mode: signed, chunks: both, header: map[string]string{"X-Amz-Decoded-Content-Length": "1"}}, "IncompleteBody"},
		"without a length":    {stream{mode: signed, chunks: both, header: map[string]string{"X-Amz-Decoded-Content-Length": "x"}}, "MissingContentLength"},
		"with another curve":  {stream{mode: "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", chunks: both}, "NotImplemented"},
	} {
		t.Run(name, func(t *testing.T) {
			key := strings.ReplaceAll(strings.ReplaceAll(name, " ", "-"), ",", "")
			status, failure := l.send(t, key, tt.stream)
			if failure != tt.failure || (status == 200) != (failure == "") {
				t.Fatalf("got %d %q, want %q", status, failure, tt.failure)
			}
			if failure != "" {
				return
			}
			if body, _ := l.get(t, key, ""); body != strings.Join(tt.chunks, "") {
				t.Errorf("%d bytes are stored", len(body))
			}
			name := bucket
			head, err := l.client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &name, Key: &key})
			if err != nil || head.ContentEncoding != nil {
				t.Errorf("encoding %v, %v: aws-chunked is none", head.ContentEncoding, err)
			}
		})
	}
}
