package main

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	hubtypes "github.com/aws/aws-sdk-go-v2/service/securityhub/types"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A line is one line of the bucket, as far as the proof needs it.
type line struct {
	ID        string `json:"Id"`
	ARN       string `json:"arn"` // Inspector Classic's own findings
	Account   string `json:"AwsAccountId"`
	Region    string
	UpdatedAt string
	Product   struct {
		Name string `json:"aws/securityhub/ProductName"`
	} `json:"ProductFields"`
}

// A folder is the objects of one account and region.
type folder struct {
	Account string `json:"account"`
	Region  string `json:"region"`
	Objects int    `json:"objects"`
	Lines   int    `json:"lines"`
	Bytes   int64  `json:"bytes"`
}

// A proof is what the bucket holds against what it should hold.
type proof struct {
	Folders   []*folder `json:"folders"`
	Expected  int       `json:"expected"`  // findings that Security Hub and Inspector Classic say they have
	Versions  int       `json:"versions"`  // lines: each state of a finding is one
	Missing   []string  `json:"missing"`   // states of findings that are not in the bucket
	Twice     []string  `json:"twice"`     // versions that are there twice
	Misplaced []string  `json:"misplaced"` // lines under another account's or region's prefix
	Foreign   []string  `json:"foreign"`   // findings of other products
	Broken    []string  `json:"broken"`    // objects or lines that cannot be read
	Other     []string  `json:"other"`     // keys outside of AWSLogs/
	Sample    string    `json:"sample"`    // one line
	SampleKey string    `json:"sampleKey"` // of the object that it is in
}

// holds tells whether nothing is wrong.
func (p *proof) holds() bool {
	return p.Expected > 0 && len(p.Missing)+len(p.Twice)+len(p.Misplaced)+len(p.Foreign)+len(p.Broken)+len(p.Other) == 0
}

// prove reads the whole bucket and compares it with what the services say, both as anybody could from outside.
func (d *demo) prove(ctx context.Context, b *assessment) (*proof, error) {
	p := &proof{}
	seen := make(map[string]bool) // versions
	folders := make(map[string]*folder)
	client := s3.NewFromConfig(d.config(d.administrator, d.regions[0]))
	pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: aws.String(d.bucket)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the bucket: %w", err)
		}
		for _, o := range page.Contents {
			key := aws.ToString(o.Key)
			part := strings.Split(key, "/")
			if len(part) != 9 || part[0] != "AWSLogs" || part[2] != "Inspector" {
				p.Other = append(p.Other, key)
				continue
			}
			at := part[1] + "/" + part[3]
			if folders[at] == nil {
				folders[at] = &folder{Account: part[1], Region: part[3]}
			}
			folders[at].Objects++
			folders[at].Bytes += aws.ToInt64(o.Size)
			if err := p.readObject(ctx, client, d.bucket, key, folders[at], seen); err != nil {
				return nil, err
			}
		}
	}
	for _, at := range slices.Sorted(maps.Keys(folders)) {
		p.Folders = append(p.Folders, folders[at])
	}
	d.expectVersions(p, seen)
	return p, errors.Join(d.expectHub(ctx, p, seen), expectRun(ctx, b, p, seen))
}

func versionKey(at string, l *line) string { return at + " " + cmp.Or(l.ID, l.ARN) + " " + l.UpdatedAt }

// readObject checks an object line by line.
func (p *proof) readObject(ctx context.Context, client *s3.Client, bucket, key string, at *folder, seen map[string]bool) error {
	out, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)})
	if err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	defer out.Body.Close()
	z, err := gzip.NewReader(out.Body)
	if err != nil {
		p.Broken = append(p.Broken, key)
		return nil
	}
	for r := bufio.NewReader(z); ; {
		text, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(text) == 0 {
			return nil
		}
		var l line
		if err != nil || json.Unmarshal(text, &l, jsontext.AllowInvalidUTF8(true)) != nil { // no newline at the end, or two documents on a line
			p.Broken = append(p.Broken, key)
			return nil
		}
		at.Lines++
		p.Versions++
		account, region := l.Account, l.Region
		if l.ARN != "" {
			part := strings.SplitN(l.ARN, ":", 6)
			account, region = part[4], part[3]
		} else if l.Product.Name != "Inspector" {
			p.Foreign = append(p.Foreign, l.ID)
		}
		if account != at.Account || region != at.Region {
			p.Misplaced = append(p.Misplaced, cmp.Or(l.ID, l.ARN)+" in "+key)
		}
		v := versionKey(account+"/"+region, &l)
		if seen[v] {
			p.Twice = append(p.Twice, v)
		}
		seen[v] = true
		if p.Sample == "" {
			p.Sample, p.SampleKey = string(bytes.TrimSpace(text)), key
		}
	}
}

// expectVersions asks the lab which states of findings Security Hub has taken: also those that have had news since.
func (d *demo) expectVersions(p *proof, seen map[string]bool) {
	for f := range d.lab.Population.Expected() {
		at := f.Place.Account + "/" + f.Place.Region
		if f.Product != "Inspector" || !f.Taken {
			continue
		}
		if v := versionKey(at, &line{ID: f.ID, UpdatedAt: f.UpdatedAt}); !seen[v] {
			p.Missing = append(p.Missing, v)
		}
	}
}

// expectHub asks Security Hub's administrator for all findings of Inspector, in each region.
func (d *demo) expectHub(ctx context.Context, p *proof, seen map[string]bool) error {
	for _, region := range d.regions {
		pages := securityhub.NewGetFindingsPaginator(securityhub.NewFromConfig(d.config(d.administrator, region)), &securityhub.GetFindingsInput{
			Filters: &hubtypes.AwsSecurityFindingFilters{
				ProductName: []hubtypes.StringFilter{{Value: aws.String("Inspector"), Comparison: hubtypes.StringFilterComparisonEquals}},
			},
			MaxResults: aws.Int32(100),
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return fmt.Errorf("findings of %s: %w", region, err)
			}
			for _, f := range page.Findings {
				p.Expected++
				account := aws.ToString(f.AwsAccountId)
				l := &line{ID: aws.ToString(f.Id), UpdatedAt: aws.ToString(f.UpdatedAt)}
				if !seen[versionKey(account+"/"+region, l)] {
					p.Missing = append(p.Missing, account+"/"+region+" "+l.ID)
				}
			}
		}
	}
	return nil
}

// expectRun asks Inspector Classic for the findings of the run.
func expectRun(ctx context.Context, b *assessment, p *proof, seen map[string]bool) error {
	arns, err := b.listed(ctx)
	if err != nil {
		return fmt.Errorf("findings of the run: %w", err)
	}
	for _, arn := range arns {
		p.Expected++
		if !seen[versionKey(b.account+"/"+b.region, &line{ARN: arn})] {
			p.Missing = append(p.Missing, arn)
		}
	}
	return nil
}
