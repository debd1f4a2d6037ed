package kms

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"net/http"

	"github.com/go-json-experiment/json"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// Limits of what is encrypted, in bytes.
const (
	maxPlaintext  = 4096
	maxCiphertext = 6144
	maxDataKey    = 1024
	maxContext    = 8192 // of the context's JSON
)

// formOne is the first byte of a ciphertext: then follow the length of the key's ARN in two bytes, the ARN, and a nonce.
const formOne = 1

func newGCM(material [32]byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(material[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// seal encrypts. The context and the ARN have to be the same again to open it.
func (s *Service) seal(k *key, plaintext, told []byte) ([]byte, error) {
	gcm, err := newGCM(k.material)
	if err != nil {
		return nil, fmt.Errorf("encrypt under %s: %w", k.arn, err)
	}
	out := append([]byte{formOne}, binary.BigEndian.AppendUint16(nil, uint16(len(k.arn)&0xffff))...)
	out = append(out, k.arn...)
	chance := s.cloud.Chance("kms nonce") // another one each time
	nonce := chance[:gcm.NonceSize()]
	out = append(out, nonce...)
	return gcm.Seal(out, nonce, plaintext, append([]byte(k.arn+"\n"), told...)), nil
}

// errCiphertext says that something is no ciphertext, or not with this context. KMS tells no more.
func errCiphertext() error { return wire.Errorf("InvalidCiphertextException", "") }

// keyOf reads which key a ciphertext is under, and gives what follows.
func keyOf(ciphertext []byte) (arn string, rest []byte, err error) {
	if len(ciphertext) < 3 || ciphertext[0] != formOne {
		return "", nil, errCiphertext()
	}
	n := int(binary.BigEndian.Uint16(ciphertext[1:]))
	if len(ciphertext) < 3+n {
		return "", nil, errCiphertext()
	}
	return string(ciphertext[3 : 3+n]), ciphertext[3+n:], nil
}

func unseal(k *key, rest, told []byte) ([]byte, error) {
	gcm, err := newGCM(k.material)
	if err != nil {
		return nil, fmt.Errorf("decrypt under %s: %w", k.arn, err)
	}
	if len(rest) < gcm.NonceSize() {
		return nil, errCiphertext()
	}
	plaintext, err := gcm.Open(nil, rest[:gcm.NonceSize()], rest[gcm.NonceSize():], append([]byte(k.arn+"\n"), told...))
	if err != nil {
		return nil, errCiphertext()
	}
	return plaintext, nil
}

// An encryptionContext is what has to be told again to decrypt. It is in the keys of conditions too.
type encryptionContext map[string]string

func (e encryptionContext) bytes() ([]byte, error) {
	if len(e) == 0 {
		return nil, nil
	}
	b, err := json.Marshal(map[string]string(e), json.Deterministic(true))
	if err != nil {
		return nil, validation("EncryptionContext: %v", err)
	}
	if len(b) > maxContext {
		return nil, validation("EncryptionContext has %d bytes: at most %d are taken", len(b), maxContext)
	}
	return b, nil
}

func (e encryptionContext) conditions() map[string]string {
	out := make(map[string]string)
	for name, value := range e {
		out["kms:EncryptionContext:"+name] = value
	}
	return out
}

// use finds a key that the caller may use, and that can be used.
func (s *Service) use(c *wire.Call, id, action string, e encryptionContext, dryRun bool) (*key, []byte, error) {
	told, err := e.bytes()
	if err != nil {
		return nil, nil, err
	}
	k, err := s.permitted(c, id, action, e.conditions())
	if err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := k.usable(); err != nil {
		return nil, nil, err
	}
	if dryRun {
		return nil, nil, wire.StatusErrorf(http.StatusPreconditionFailed, "DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")
	}
	return k, told, nil
}

type encryptInput struct {
	KeyID               string `json:"KeyId"`
	Plaintext           []byte
	EncryptionContext   encryptionContext
	EncryptionAlgorithm string
	DryRun              bool
}

type encryptOutput struct {
	CiphertextBlob      []byte
	KeyID               string `json:"KeyId"`
	EncryptionAlgorithm string
}

func checkAlgorithm(name string) error {
	if name != "" && name != onlySpec {
		return wire.Errorf("InvalidKeyUsageException", "the key has no algorithm %.40s: only %s", name, onlySpec)
	}
	return nil
}

func (s *Service) encrypt(_ context.Context, c *wire.Call, in *encryptInput) (*encryptOutput, error) {
	if n := len(in.Plaintext); n < 1 || n > maxPlaintext {
		return nil, validation("Plaintext has %d bytes: expected 1 to %d", n, maxPlaintext)
	}
	if err := checkAlgorithm(in.EncryptionAlgorithm); err != nil {
		return nil, err
	}
	k, told, err := s.use(c, in.KeyID, "Encrypt", in.EncryptionContext, in.DryRun)
	if err != nil {
		return nil, err
	}
	blob, err := s.seal(k, in.Plaintext, told)
	if err != nil {
		return nil, err
	}
	return &encryptOutput{blob, k.arn, onlySpec}, nil
}

type decryptInput struct {
	CiphertextBlob      []byte
	KeyID               string `json:"KeyId"`
	EncryptionContext   encryptionContext
	EncryptionAlgorithm string
	DryRun              bool
}

type decryptOutput struct {
	KeyID               string `json:"KeyId"`
	Plaintext           []byte
	EncryptionAlgorithm string
}

func (s *Service) decrypt(_ context.Context, c *wire.Call, in *decryptInput) (*decryptOutput, error) {
	if n := len(in.CiphertextBlob); n < 1 || n > maxCiphertext {
		return nil, validation("CiphertextBlob has %d bytes: expected 1 to %d", n, maxCiphertext)
	}
	if err := checkAlgorithm(in.EncryptionAlgorithm); err != nil {
		return nil, err
	}
	under, rest, err := keyOf(in.CiphertextBlob)
	if err != nil {
		return nil, err
	}
	if arn, err := cloud.ParseARN(under); err != nil || arn.Region != c.Region {
		return nil, errCiphertext()
	}
	if err := s.isKey(c, in.KeyID, under); err != nil {
		return nil, err
	}
	k, told, err := s.use(c, under, "Decrypt", in.EncryptionContext, in.DryRun)
	if err != nil {
		return nil, err
	}
	plaintext, err := unseal(k, rest, told)
	if err != nil {
		return nil, err
	}
	return &decryptOutput{k.arn, plaintext, onlySpec}, nil
}

// isKey refuses a key that was named, where the ciphertext is under another.
func (s *Service) isKey(c *wire.Call, named, arn string) error {
	if named == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k, err := s.lookup(c, named)
	if err == nil && k.arn != arn {
		return wire.Errorf("IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation.")
	}
	return err
}

type dataKeyInput struct {
	KeyID             string `json:"KeyId"`
	EncryptionContext encryptionContext
	NumberOfBytes     *int
	KeySpec           string
	DryRun            bool
}

type dataKeyOutput struct {
	CiphertextBlob []byte
	Plaintext      []byte `json:",omitempty"`
	KeyID          string `json:"KeyId"`
}

// size is how many bytes the data key is to have.
func (in *dataKeyInput) size() (int, error) {
	switch {
	case (in.NumberOfBytes == nil) == (in.KeySpec == ""):
		return 0, wire.Errorf("ValidationException", "Please specify either number of bytes or key spec.")
	case in.NumberOfBytes != nil && (*in.NumberOfBytes < 1 || *in.NumberOfBytes > maxDataKey):
		return 0, validation("NumberOfBytes %d: expected 1 to %d", *in.NumberOfBytes, maxDataKey)
	case in.NumberOfBytes != nil:
		return *in.NumberOfBytes, nil
	case in.KeySpec == "AES_256":
		return 32, nil
	case in.KeySpec == "AES_128":
		return 16, nil
	}
	return 0, validation("KeySpec %.40s: expected AES_256 or AES_128", in.KeySpec)
}

func (s *Service) generateDataKey(_ context.Context, c *wire.Call, in *dataKeyInput) (*dataKeyOutput, error) {
	return s.makeDataKey(c, in, "GenerateDataKey")
}

func (s *Service) generateDataKeyWithoutPlaintext(_ context.Context, c *wire.Call, in *dataKeyInput) (*dataKeyOutput, error) {
	out, err := s.makeDataKey(c, in, "GenerateDataKeyWithoutPlaintext")
	if err != nil {
		return nil, err
	}
	out.Plaintext = nil
	return out, nil
}

func (s *Service) makeDataKey(c *wire.Call, in *dataKeyInput, action string) (*dataKeyOutput, error) {
	size, err := in.size()
	if err != nil {
		return nil, err
	}
	k, told, err := s.use(c, in.KeyID, action, in.EncryptionContext, in.DryRun)
	if err != nil {
		return nil, err
	}
	var plaintext []byte
	for len(plaintext) < size {
		chance := s.cloud.Chance("kms data key")
		plaintext = append(plaintext, chance[:]...)
	}
	plaintext = plaintext[:size]
	blob, err := s.seal(k, plaintext, told)
	if err != nil {
		return nil, err
	}
	return &dataKeyOutput{blob, plaintext, k.arn}, nil
}
