package s3

import (
	"crypto/md5"  //nolint:gosec // S3 offers it as a checksum
	"crypto/sha1" //nolint:gosec // as above
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// An algorithm makes checksums.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
type algorithm struct {
	name      string // CRC32
	size      int    // bytes
	make      func() hash.Hash
	full      bool // may be of a whole object in parts
	composite bool // may be made of the checksums of the parts
}

// nvme is the polynomial of CRC-64/NVME, reversed.
const nvme = 0x9a6c9329ac4bc9b5

var algorithms = []*algorithm{
	{"CRC64NVME", 8, func() hash.Hash { return crc64.New(crc64.MakeTable(nvme)) }, true, false},
	{"CRC32", 4, func() hash.Hash { return crc32.NewIEEE() }, true, true},
	{"CRC32C", 4, func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }, true, true},
	{"SHA1", sha1.Size, sha1.New, false, true},
	{"SHA256", sha256.Size, sha256.New, false, true},
	{"SHA512", sha512.Size, sha512.New, false, true},
	{"MD5", md5.Size, md5.New, false, true},
}

// standard is what S3 computes where nobody asks for anything.
func standard() *algorithm { return algorithms[0] }

// findAlgorithm looks one up by its name, in any case; nil where there is none.
func findAlgorithm(name string) *algorithm {
	i := slices.IndexFunc(algorithms, func(a *algorithm) bool { return strings.EqualFold(a.name, name) })
	if i < 0 {
		return nil
	}
	return algorithms[i]
}

const checksumPrefix = "x-amz-checksum-"

func (a *algorithm) header() string  { return checksumPrefix + strings.ToLower(a.name) }
func (a *algorithm) element() string { return "Checksum" + a.name }

func (a *algorithm) of(body []byte) checksum {
	h := a.make()
	h.Write(body)
	return checksum{a, base64.StdEncoding.EncodeToString(h.Sum(nil)), false}
}

// A checksum is that of an object or a part. The zero value is none.
type checksum struct {
	*algorithm
	value     string // base64; of a composite with the number of parts: abc-2
	composite bool
}

func (c checksum) kind() string {
	if c.composite {
		return "COMPOSITE"
	}
	return "FULL_OBJECT"
}

// tell writes the checksum into the headers of an answer.
func (c checksum) tell(h http.Header) {
	if c.algorithm != nil {
		h.Set(c.header(), c.value)
		h.Set("X-Amz-Checksum-Type", c.kind())
	}
}

// checksum writes the checksum into a page.
func (p *page) checksum(c checksum) {
	if c.algorithm != nil {
		p.text(c.element(), c.value)
	}
}

// payload is the body of the request, out of its chunks, after it was compared with Content-MD5 and with the checksum that
// came with it, which it gives: the zero value where there was none.
func (r *request) payload() ([]byte, checksum, error) {
	body, trailer, err := r.unchunk()
	if err != nil {
		return nil, checksum{}, err
	}
	if err := r.checkMD5(body); err != nil {
		return nil, checksum{}, err
	}
	if r.operation.name == "CompleteMultipartUpload" {
		return body, checksum{}, nil // its checksum is that of the object
	}
	claimed, err := r.claimed(trailer)
	if err != nil || claimed.algorithm == nil {
		return body, checksum{}, err
	}
	if got := claimed.of(body); got.value != claimed.value {
		return nil, checksum{}, badDigest(claimed.algorithm)
	}
	return body, claimed, nil
}

func badDigest(a *algorithm) error {
	return badRequest("BadDigest", "The %s you specified did not match the calculated checksum.", a.name)
}

// claimed finds the checksum that the request states of its body, in a header or in the trailer.
func (r *request) claimed(trailer map[string]string) (checksum, error) {
	var found checksum
	for _, name := range slices.Sorted(maps.Keys(r.HTTP.Header)) {
		lower := strings.ToLower(name)
		rest, ok := strings.CutPrefix(lower, checksumPrefix)
		if !ok || rest == "algorithm" || rest == "type" || rest == "mode" {
			continue
		}
		if found.algorithm != nil {
			return found, badRequest("InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		}
		if found.algorithm = findAlgorithm(rest); found.algorithm == nil {
			return found, notImplemented(lower)
		}
		found.value = r.header(name)
	}
	if announced := strings.ToLower(r.header("X-Amz-Trailer")); announced != "" {
		rest, ok := strings.CutPrefix(announced, checksumPrefix)
		a := findAlgorithm(rest)
		switch {
		case !ok || a == nil:
			return found, badRequest("InvalidRequest", "The value specified in the x-amz-trailer header is not supported")
		case found.algorithm != nil:
			return found, badRequest("InvalidRequest", "Expecting a single x-amz-checksum- header")
		case trailer[announced] == "":
			return found, badRequest("MalformedTrailerError",
				"The request contained trailing data that was not well-formed or did not conform to our published schema.")
		}
		found = checksum{algorithm: a, value: trailer[announced]}
	}
	asked := r.header("X-Amz-Sdk-Checksum-Algorithm")
	switch {
	case found.algorithm == nil && asked != "":
		return found, badRequest("InvalidRequest",
			"x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.")
	case found.algorithm == nil:
		return found, nil
	case asked != "" && findAlgorithm(asked) != found.algorithm:
		return found, badRequest("InvalidRequest", "Value for x-amz-sdk-checksum-algorithm header is invalid.")
	case !found.wellFormed(found.value):
		return found, badRequest("InvalidRequest", "Value for %s header is invalid.", found.header())
	}
	return found, nil
}

func (a *algorithm) wellFormed(value string) bool {
	plain, err := base64.StdEncoding.DecodeString(value)
	return err == nil && len(plain) == a.size
}

// compose makes the checksum of an object from those of its parts.
func (a *algorithm) compose(parts []checksum) checksum {
	h := a.make()
	for _, p := range parts {
		plain, err := base64.StdEncoding.DecodeString(p.value)
		if err != nil {
			continue // they were made here
		}
		h.Write(plain)
	}
	return checksum{a, base64.StdEncoding.EncodeToString(h.Sum(nil)) + "-" + strconv.Itoa(len(parts)), true}
}
