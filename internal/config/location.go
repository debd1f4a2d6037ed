package config

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
)

// A Location is a bucket: of S3, or a folder.
type Location struct {
	Folder string // set for a folder, with all else empty

	Bucket    string
	Prefix    string // before every key; empty, or ends in a slash
	Region    string // empty: from the environment, as the AWS SDK finds it
	Endpoint  string // a URL; empty: AWS's own
	PathStyle bool   // the bucket in the path, as most servers other than AWS want it
}

// ParseLocation reads s3://BUCKET[/PREFIX][?region=&endpoint=&path_style=], file:///FOLDER, or a folder.
func ParseLocation(s string) (Location, error) {
	switch {
	case strings.HasPrefix(s, "s3://"):
		return parseS3(s)
	case strings.HasPrefix(s, "file://"):
		u, err := url.Parse(s)
		if err != nil {
			return Location{}, fmt.Errorf("read URL: %w", err)
		}
		if u.Host != "" || !strings.HasPrefix(u.Path, "/") || u.RawQuery != "" || u.Fragment != "" {
			return Location{}, fmt.Errorf("a file URL is file:///FOLDER, with three slashes")
		}
		return folder(u.Path)
	case strings.Contains(s, "://"):
		scheme, _, _ := strings.Cut(s, "://")
		return Location{}, fmt.Errorf("unknown scheme %q: only s3 or file", scheme)
	default:
		return folder(s)
	}
}

func folder(s string) (Location, error) {
	if s == "" || strings.ContainsRune(s, 0) {
		return Location{}, fmt.Errorf("no folder")
	}
	return Location{Folder: path.Clean(s)}, nil
}

func parseS3(s string) (Location, error) {
	u, err := url.Parse(s)
	if err != nil {
		return Location{}, fmt.Errorf("read URL: %w", err)
	}
	if u.User != nil || u.Port() != "" || u.Fragment != "" {
		return Location{}, fmt.Errorf("no user, port or fragment stands in s3://BUCKET/PREFIX")
	}
	l := Location{Bucket: u.Host, Prefix: strings.TrimPrefix(u.Path, "/")}
	if err := checkBucketName(l.Bucket); err != nil {
		return Location{}, err
	}
	if l.Prefix != "" && !strings.HasSuffix(l.Prefix, "/") {
		l.Prefix += "/"
	}
	if err := checkPrefix(l.Prefix); err != nil {
		return Location{}, err
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Location{}, fmt.Errorf("read parameters: %w", err)
	}
	var faults []string
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if values := query[name]; len(values) > 1 {
			faults = append(faults, fmt.Sprintf("parameter %s is given twice", name))
		} else if err := l.set(name, values[0]); err != nil {
			faults = append(faults, err.Error())
		}
	}
	if len(faults) > 0 {
		return Location{}, errors.New(strings.Join(faults, "; "))
	}
	return l, nil
}

func (l *Location) set(name, text string) error {
	switch name {
	case "region":
		if !region.matches(text) {
			return fmt.Errorf("parameter region: %q is no region, such as eu-west-1", text)
		}
		l.Region = text
	case "endpoint":
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil ||
			u.RawQuery != "" || u.Fragment != "" {
			return fmt.Errorf("parameter endpoint: want http://HOST[:PORT] or https://HOST[:PORT]")
		}
		l.Endpoint = text
	case "path_style":
		style, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("parameter path_style: %q is neither true nor false", text)
		}
		l.PathStyle = style
	default:
		return fmt.Errorf("unknown parameter %q: only region, endpoint or path_style", name)
	}
	return nil
}

// checkBucketName applies the rules of S3 for names of buckets.
func checkBucketName(name string) error {
	_, notIP := netip.ParseAddr(name)
	valid := len(name) >= 3 && len(name) <= 63 && notIP != nil && !strings.Contains(name, "..") &&
		strings.Trim(name, ".-") == name &&
		allOf(name, bucketNameRune)
	if !valid {
		return fmt.Errorf("%q is no bucket name: 3 to 63 of a-z 0-9 . -, no address, no dots beside each other", name)
	}
	return nil
}

func bucketNameRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '-'
}

func allOf(s string, in func(rune) bool) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !in(r) })
}

// checkPrefix refuses what a folder with the same keys could not hold.
func checkPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	parts := strings.Split(strings.TrimSuffix(prefix, "/"), "/")
	bad := func(part string) bool {
		return part == "" || part == "." || part == ".." || strings.ContainsFunc(part, func(r rune) bool { return r < ' ' || r == 0x7f })
	}
	if len(prefix) > 256 || slices.ContainsFunc(parts, bad) {
		return fmt.Errorf("prefix %q: at most 256 bytes, no empty part, and none of dots", prefix)
	}
	return nil
}

// String returns the location as ParseLocation reads it.
func (l Location) String() string {
	if l.Folder != "" {
		return l.Folder
	}
	s := "s3://" + l.Bucket + "/" + l.Prefix
	query := url.Values{}
	if l.Region != "" {
		query.Set("region", l.Region)
	}
	if l.Endpoint != "" {
		query.Set("endpoint", l.Endpoint)
	}
	if l.PathStyle {
		query.Set("path_style", "true")
	}
	if len(query) > 0 {
		s += "?" + query.Encode()
	}
	return s
}
