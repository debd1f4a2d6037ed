package s3

import (
	"context"
	"crypto/md5" //nolint:gosec // Content-MD5 is a checksum of the protocol, not a proof
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
)

// A Checksum is what the server verifies an object by.
type Checksum string

// The checksums, by their names in the protocol. They are sent as headers, not
// as trailers of a chunked body, which many servers do not know.
const (
	ChecksumAuto Checksum = ""
	CRC32        Checksum = "CRC32"
	CRC32C       Checksum = "CRC32C"
	CRC64NVME    Checksum = "CRC64NVME"
	SHA256       Checksum = "SHA256"
	MD5          Checksum = "MD5" // the older header Content-MD5
)

// Checksums are all that Options may name.
func Checksums() []Checksum { return []Checksum{CRC32, CRC32C, CRC64NVME, SHA256, MD5} }

// nvme is the polynomial of CRC-64/NVME, reflected.
const nvme = 0x9a6c9329ac4bc9b5

func (c Checksum) hash() hash.Hash {
	switch c {
	case CRC32C:
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case CRC64NVME:
		return crc64.New(crc64.MakeTable(nvme))
	case SHA256:
		return sha256.New()
	case MD5:
		return md5.New() //nolint:gosec // as above
	case ChecksumAuto, CRC32:
	}
	return crc32.NewIEEE()
}

// algorithm is what the SDK calls it; empty for MD5, which is a header of its own.
func (c Checksum) algorithm() types.ChecksumAlgorithm {
	if c == MD5 {
		return ""
	}
	return types.ChecksumAlgorithm(c)
}

// multipart is how the checksum of a whole object is made from its parts'.
func (c Checksum) multipart() types.ChecksumType {
	switch c {
	case CRC64NVME:
		return types.ChecksumTypeFullObject
	case MD5:
		return ""
	case ChecksumAuto, CRC32, CRC32C, SHA256:
	}
	return types.ChecksumTypeComposite
}

// of reads body to its end.
func (c Checksum) of(body io.ReadSeeker) (string, error) {
	h := c.hash()
	if err := digest(h, body); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(h.Sum(nil)), nil
}

// hashOf is the SHA-256 of body in hexadecimal digits. What is stored carries it
// as metadata, so that a repeated put is recognised without a download.
func hashOf(body io.Reader) (string, error) {
	h := sha256.New()
	if err := digest(h, body); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func digest(h hash.Hash, body io.Reader) error {
	if s, ok := body.(io.Seeker); ok {
		if _, err := s.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("rewind body: %w", err)
		}
	}
	if _, err := io.Copy(h, body); err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	return nil
}

// signed tells the signer the hash of the body, which is known already, so that
// the SDK does not read the body once more.
func signed(sum string) func(*s3.Options) {
	add := func(stack *middleware.Stack) error {
		return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("KnownPayloadHash", func(
			ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
		) (middleware.FinalizeOutput, middleware.Metadata, error) {
			return next.HandleFinalize(v4.SetPayloadHash(ctx, sum), in)
		}), (*v4.ComputePayloadSHA256)(nil).ID(), middleware.Before)
	}
	return func(o *s3.Options) { o.APIOptions = append(o.APIOptions, add) }
}

// A window is a stretch of a body. It also keeps the body from being closed by
// those it is handed to.
type window struct {
	body        io.ReadSeeker
	start, size int64
	at          int64 // below size
}

func (w *window) Read(p []byte) (int, error) {
	if w.at >= w.size {
		return 0, io.EOF
	}
	n, err := w.body.Read(p[:min(int64(len(p)), w.size-w.at)])
	w.at += int64(n)
	if errors.Is(err, io.EOF) && w.at < w.size {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (w *window) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += w.at
	case io.SeekEnd:
		offset += w.size
	}
	if offset < 0 {
		return 0, fmt.Errorf("seek to %d: before the start", offset)
	}
	if _, err := w.body.Seek(w.start+offset, io.SeekStart); err != nil {
		return 0, err
	}
	w.at = offset
	return offset, nil
}
