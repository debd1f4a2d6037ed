package s3_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// A model is what S3 is, without anything clever: for each key its versions from the newest on.
type model struct {
	state string // of versioning
	keys  map[string][]modelVersion
}

type modelVersion struct {
	id, body string
	marker   bool
}

func (m *model) push(key string, v modelVersion) {
	if m.state != "Enabled" {
		m.keys[key] = slices.DeleteFunc(m.keys[key], func(old modelVersion) bool { return old.id == "null" })
	}
	m.keys[key] = append([]modelVersion{v}, m.keys[key]...)
}

func (m *model) drop(key, id string) {
	m.keys[key] = slices.DeleteFunc(m.keys[key], func(v modelVersion) bool { return v.id == id })
	if len(m.keys[key]) == 0 {
		delete(m.keys, key)
	}
}

// list is what a listing shows, by its definition.
func (m *model) list(prefix, delimiter, after string) []string {
	out := []string{}
	for _, key := range slices.Sorted(maps.Keys(m.keys)) {
		if m.keys[key][0].marker || !strings.HasPrefix(key, prefix) {
			continue
		}
		entry, shown := key, key
		if i := strings.Index(key[len(prefix):], delimiter); delimiter != "" && i >= 0 {
			entry = key[:len(prefix)+i+len(delimiter)]
			shown = entry + "*"
		}
		if entry > after && !slices.Contains(out, shown) {
			out = append(out, shown)
		}
	}
	return out
}

func TestS3IsWhatTheModelIs(t *testing.T) {
	l := newLab(t)
	count := 0
	rapid.Check(t, func(rt *rapid.T) {
		count++
		name := fmt.Sprintf("model-%d", count)
		if err := l.CreateBucket(l.cloud.Accounts.Place("111111111111", "ap-northeast-1"), name); err != nil {
			rt.Fatal(err)
		}
		m := &model{keys: make(map[string][]modelVersion)}
		key := rapid.SampledFrom([]string{"a", "a/", "a/1", "a/2", "a/b/1", "a0", "b/1", "ü"})
		client, ctx, b := l.client, t.Context(), aws.String(name)
		id := func(v *string) string {
			if v == nil {
				return "null"
			}
			return *v
		}
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				k, body := key.Draw(rt, "key"), rapid.StringN(0, 5, 20).Draw(rt, "body")
				out, err := client.PutObject(ctx, &awss3.PutObjectInput{Bucket: b, Key: &k, Body: strings.NewReader(body)})
				if err != nil {
					rt.Fatal(err)
				}
				m.push(k, modelVersion{id(out.VersionId), body, false})
			},
			"put if absent": func(rt *rapid.T) {
				k := key.Draw(rt, "key")
				out, err := client.PutObject(ctx, &awss3.PutObjectInput{Bucket: b, Key: &k, Body: strings.NewReader("new"), IfNoneMatch: aws.String("*")})
				there := len(m.keys[k]) > 0 && !m.keys[k][0].marker
				if (err != nil) != there {
					rt.Fatalf("%s is there: %v, but %v", k, there, err)
				}
				if err == nil {
					m.push(k, modelVersion{id(out.VersionId), "new", false})
				}
			},
			"delete": func(rt *rapid.T) {
				k := key.Draw(rt, "key")
				out, err := client.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: b, Key: &k})
				if err != nil {
					rt.Fatal(err)
				}
				if m.state == "" {
					delete(m.keys, k)
					return
				}
				m.push(k, modelVersion{id(out.VersionId), "", true})
			},
			"delete a version": func(rt *rapid.T) {
				k := key.Draw(rt, "key")
				if len(m.keys[k]) == 0 {
					return
				}
				v := rapid.SampledFrom(m.keys[k]).Draw(rt, "version")
				out, err := client.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: b, Key: &k, VersionId: &v.id})
				if err != nil || aws.ToBool(out.DeleteMarker) != v.marker {
					rt.Fatalf("got %+v, %v", out, err)
				}
				m.drop(k, v.id)
			},
			"set versioning": func(rt *rapid.T) {
				m.state = rapid.SampledFrom([]string{"Enabled", "Suspended"}).Draw(rt, "state")
				_, err := client.PutBucketVersioning(ctx, &awss3.PutBucketVersioningInput{Bucket: b, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatus(m.state)}})
				if err != nil {
					rt.Fatal(err)
				}
			},
			"list": func(rt *rapid.T) {
				prefix := rapid.SampledFrom([]string{"", "a", "a/", "b"}).Draw(rt, "prefix")
				delimiter := rapid.SampledFrom([]string{"", "/"}).Draw(rt, "delimiter")
				after := rapid.SampledFrom([]string{"", "a", "a/", "a/1", "z"}).Draw(rt, "after")
				in := &awss3.ListObjectsV2Input{Bucket: b, MaxKeys: aws.Int32(rapid.Int32Range(1, 4).Draw(rt, "page")), Prefix: &prefix, Delimiter: &delimiter, StartAfter: &after}
				got := []string{}
				for pages := awss3.NewListObjectsV2Paginator(client, in); pages.HasMorePages(); {
					page, err := pages.NextPage(ctx)
					if err != nil {
						rt.Fatal(err)
					}
					for _, o := range page.Contents {
						got = append(got, *o.Key)
					}
					for _, p := range page.CommonPrefixes {
						got = append(got, *p.Prefix+"*")
					}
				}
				want := m.list(prefix, delimiter, after)
				slices.Sort(want)
				slices.Sort(got)
				if diff := cmp.Diff(want, got); diff != "" {
					rt.Fatalf("(-want +got):\n%s", diff)
				}
			},
			"list versions": func(rt *rapid.T) {
				in := &awss3.ListObjectVersionsInput{Bucket: b, MaxKeys: aws.Int32(rapid.Int32Range(1, 4).Draw(rt, "page"))}
				got := []string{}
				for pages := awss3.NewListObjectVersionsPaginator(client, in); pages.HasMorePages(); {
					page, err := pages.NextPage(ctx)
					if err != nil {
						rt.Fatal(err)
					}
					for _, v := range page.Versions {
						got = append(got, *v.Key+" "+*v.VersionId)
					}
					for _, v := range page.DeleteMarkers {
						got = append(got, *v.Key+" "+*v.VersionId+" -")
					}
				}
				want := []string{}
				for k, versions := range m.keys {
					for _, v := range versions {
						want = append(want, k+" "+v.id+map[bool]string{true: " -"}[v.marker])
					}
				}
				slices.Sort(want)
				slices.Sort(got)
				if diff := cmp.Diff(want, got); diff != "" {
					rt.Fatalf("(-want +got):\n%s", diff)
				}
			},
			"": func(rt *rapid.T) {
				objects := make(map[string]string)
				for k, body := range l.Objects(name, "") {
					objects[k] = string(body)
				}
				want := make(map[string]string)
				for k, versions := range m.keys {
					if !versions[0].marker {
						want[k] = versions[0].body
					}
				}
				if diff := cmp.Diff(want, objects); diff != "" {
					rt.Fatalf("(-want +got):\n%s", diff)
				}
			},
		})
	})
}
