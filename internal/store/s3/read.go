package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"example.org/catchment/internal/store"
)

type header struct {
	size   int64
	sha256 string // by our own metadata; empty: put by somebody else
}

func (p *put) head(ctx context.Context) (header, error) {
	out, err := p.client.HeadObject(ctx, &s3.HeadObjectInput{
		Bucket: &p.options.Bucket, Key: &p.key, ExpectedBucketOwner: optional(p.options.ExpectedBucketOwner),
	})
	if status(err) == http.StatusBadRequest {
		// The answer to a HEAD has no body that says why; that to a GET has.
		if body, reason := p.get(ctx, p.key); reason != nil {
			err = reason
		} else {
			_ = body.Close()
		}
	}
	if err != nil {
		return header{}, err
	}
	h := header{size: aws.ToInt64(out.ContentLength)}
	for name, value := range out.Metadata {
		if strings.EqualFold(name, hashName) {
			h.sha256 = value
		}
	}
	return h, nil
}

func (s *Store) get(ctx context.Context, key string) (io.ReadCloser, error) {
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{
		Bucket: &s.options.Bucket, Key: &key, ExpectedBucketOwner: optional(s.options.ExpectedBucketOwner),
		ChecksumMode: types.ChecksumModeEnabled,
	})
	if err != nil {
		return nil, err
	}
	return out.Body, nil
}

// Get is [store.Getter.Get]. It takes any key, also those that Put refuses:
// others put them. A checksum that the server sends is verified at the end. An
// error while reading is a *store.TemporaryError.
func (s *Store) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	body, err := s.get(ctx, s.options.Prefix+key)
	if isNotFound(err) && code(err) != "NoSuchBucket" {
		return nil, fmt.Errorf("get %s: %w", key, store.ErrNotFound)
	}
	if err != nil {
		return nil, s.classify(actionGet, fmt.Errorf("get %s: %w", key, err))
	}
	return &download{body, key}, nil
}

type download struct {
	io.ReadCloser
	key string
}

func (d *download) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	if err != nil && err != io.EOF && !errors.Is(err, context.Canceled) {
		err = &store.TemporaryError{Err: fmt.Errorf("get %s: %w", d.key, err)}
	}
	return n, err
}

// List is [store.Lister.List]: all objects, also those that others put under
// keys that Put would refuse.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[store.Object, error] {
	return func(yield func(store.Object, error) bool) {
		pages := s3.NewListObjectsV2Paginator(s.client, &s3.ListObjectsV2Input{
			Bucket: &s.options.Bucket, Prefix: aws.String(s.options.Prefix + prefix),
			ExpectedBucketOwner: optional(s.options.ExpectedBucketOwner),
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(store.Object{}, s.classify(actionList, fmt.Errorf("list %s: %w", prefix, err)))
				return
			}
			for _, o := range page.Contents {
				key := strings.TrimPrefix(aws.ToString(o.Key), s.options.Prefix)
				if !yield(store.Object{Key: key, Size: aws.ToInt64(o.Size), Modified: aws.ToTime(o.LastModified)}, nil) {
					return
				}
			}
		}
	}
}
