package s3

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// hashName is the metadata in which an object carries its SHA-256.
const hashName = "catchment-sha256"

// optional is nil for what was not set, which the SDK leaves out.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (m manner) ifNoneMatch() *string {
	if !m.conditional {
		return nil
	}
	return aws.String("*")
}

func (p *put) sendWhole(ctx context.Context, way manner) error {
	sum, err := way.checksum.of(p.body)
	if err != nil {
		return err
	}
	if _, err := p.body.Seek(0, 0); err != nil {
		return fmt.Errorf("rewind body: %w", err)
	}
	in := &s3.PutObjectInput{
		Bucket:               &p.options.Bucket,
		Key:                  &p.key,
		Body:                 p.body,
		ContentLength:        &p.size,
		ContentType:          aws.String(contentType(p.key)),
		Metadata:             map[string]string{hashName: p.sha256},
		ExpectedBucketOwner:  optional(p.options.ExpectedBucketOwner),
		IfNoneMatch:          way.ifNoneMatch(),
		ServerSideEncryption: types.ServerSideEncryption(p.options.SSE),
		SSEKMSKeyId:          optional(p.options.KMSKeyID),
	}
	switch way.checksum {
	case CRC32C:
		in.ChecksumCRC32C = &sum
	case CRC64NVME:
		in.ChecksumCRC64NVME = &sum
	case SHA256:
		in.ChecksumSHA256 = &sum
	case MD5:
		in.ContentMD5 = &sum
	case ChecksumAuto, CRC32:
		in.ChecksumCRC32 = &sum
	}
	_, err = p.client.PutObject(ctx, in, signed(p.sha256))
	return err
}

// sendParts uploads one part after the other: what makes puts fast is that many
// objects are under way. It aborts what it does not complete.
func (p *put) sendParts(ctx context.Context, way manner) (err error) {
	created, err := p.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket:               &p.options.Bucket,
		Key:                  &p.key,
		ContentType:          aws.String(contentType(p.key)),
		Metadata:             map[string]string{hashName: p.sha256},
		ExpectedBucketOwner:  optional(p.options.ExpectedBucketOwner),
		ChecksumAlgorithm:    way.checksum.algorithm(),
		ChecksumType:         way.checksum.multipart(),
		ServerSideEncryption: types.ServerSideEncryption(p.options.SSE),
		SSEKMSKeyId:          optional(p.options.KMSKeyID),
	})
	if err != nil {
		return fmt.Errorf("begin upload: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.abort(ctx, created.UploadId))
		}
	}()
	partSize := max(p.options.PartSize, (p.size+mostParts-1)/mostParts)
	var parts []types.CompletedPart
	for start := int64(0); start < p.size; start += partSize {
		w := &window{body: p.body.body, start: start, size: min(partSize, p.size-start)}
		part, err := p.sendPart(ctx, way, created.UploadId, int32(len(parts)+1), w) //nolint:gosec // at most 10,000
		if err != nil {
			return err
		}
		parts = append(parts, part)
	}
	_, err = p.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket:              &p.options.Bucket,
		Key:                 &p.key,
		UploadId:            created.UploadId,
		ChecksumType:        way.checksum.multipart(),
		ExpectedBucketOwner: optional(p.options.ExpectedBucketOwner),
		IfNoneMatch:         way.ifNoneMatch(),
		MultipartUpload:     &types.CompletedMultipartUpload{Parts: parts},
	})
	if err != nil {
		return fmt.Errorf("complete upload: %w", err)
	}
	return nil
}

func (p *put) sendPart(ctx context.Context, way manner, upload *string, number int32, w *window) (types.CompletedPart, error) {
	part := types.CompletedPart{PartNumber: &number}
	sum, err := way.checksum.of(w)
	if err != nil {
		return part, err
	}
	if _, err := w.Seek(0, 0); err != nil {
		return part, fmt.Errorf("rewind body: %w", err)
	}
	in := &s3.UploadPartInput{
		Bucket:              &p.options.Bucket,
		Key:                 &p.key,
		UploadId:            upload,
		PartNumber:          &number,
		Body:                w,
		ContentLength:       &w.size,
		ExpectedBucketOwner: optional(p.options.ExpectedBucketOwner),
	}
	switch way.checksum {
	case CRC32C:
		in.ChecksumCRC32C, part.ChecksumCRC32C = &sum, &sum
	case CRC64NVME:
		in.ChecksumCRC64NVME, part.ChecksumCRC64NVME = &sum, &sum
	case SHA256:
		in.ChecksumSHA256, part.ChecksumSHA256 = &sum, &sum
	case MD5:
		in.ContentMD5 = &sum
	case ChecksumAuto, CRC32:
		in.ChecksumCRC32, part.ChecksumCRC32 = &sum, &sum
	}
	out, err := p.client.UploadPart(ctx, in)
	if err != nil {
		return part, fmt.Errorf("part %d: %w", number, err)
	}
	part.ETag = out.ETag
	return part, nil
}

// abort frees the parts, also when ctx has ended. An upload that is not there
// any more is as good.
func (p *put) abort(ctx context.Context, upload *string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	_, err := p.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
		Bucket:              &p.options.Bucket,
		Key:                 &p.key,
		UploadId:            upload,
		ExpectedBucketOwner: optional(p.options.ExpectedBucketOwner),
	})
	if err != nil && !isNotFound(err) {
		return fmt.Errorf("abort upload: %w", err)
	}
	return nil
}
