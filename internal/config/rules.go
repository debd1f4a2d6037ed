package config

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
)

// This file holds what no JSON Schema can say: rules between fields, and of values that need a parser of their own.

func (c *checker) rules(s *Spec) {
	location, err := ParseLocation(s.Bucket.URL)
	if err != nil {
		c.report(Fault{Path: "bucket.url", Err: err})
	}
	c.bucketRules(s.Bucket, location)
	c.streamRules(s.Streams)
	c.sourceRules(s)
	if s.Journal.SegmentSize > s.Journal.MaxSize {
		c.report(Fault{
			Path: "journal.segment_size", Want: "at most max_size, which is " + FormatSize(s.Journal.MaxSize),
		})
	}
	if s.Managed != nil && s.Organization == nil {
		c.report(Fault{
			Path: "managed", Err: errors.New("there is no organization"),
			Want: "the section organization beside it, with the accounts and regions to manage",
		})
	}
}

func (c *checker) bucketRules(b Bucket, location Location) {
	if b.Encryption.KMSKey != "" && b.Encryption.SSE != SSEKMS {
		c.report(Fault{Path: "bucket.encryption.kms_key", Want: "no key unless sse is " + SSEKMS})
	}
	if location.Folder != "" && b.Encryption.SSE != SSENone {
		c.report(Fault{
			Path: "bucket.encryption.sse", Want: "none, as the bucket is a folder",
			Hint: "a folder is encrypted by its filesystem",
		})
	}
}

func (c *checker) streamRules(streams []Stream) {
	list, given := find(c.root, "streams")
	given = given && len(list.items) == len(streams)
	first := make(map[string]int, len(streams))
	for i := range streams {
		s, path := &streams[i], Item("streams", i)
		if j, twice := first[s.Name]; twice {
			c.report(Fault{
				Path: Field(path, "name"), Want: "a name of its own",
				Hint: fmt.Sprintf("streams[%d] has it already", j),
			})
		} else if s.Name != "" {
			first[s.Name] = i
		}
		if err := checkTimeZone(s.TimeZone); err != nil {
			c.report(Fault{Path: Field(path, "time_zone"), Err: err, Want: timeZone.want})
		}
		if s.Level != 0 && s.Compression == CompressionNone {
			c.report(Fault{Path: Field(path, "compression_level"), Want: "no level, as compression is none"})
		}
		if given {
			c.keyRules(s, path)
		}
	}
}

// checkTimeZone refuses the zones that depend on the machine: the same spec would give other keys elsewhere.
func checkTimeZone(name string) error {
	switch first, _, _ := strings.Cut(name, "/"); first {
	case "Local", "localtime", "posix", "posixrules", "right":
		return errors.New("not a time zone of the IANA database")
	}
	if _, err := time.LoadLocation(name); err != nil {
		return errors.New("unknown time zone")
	}
	return nil
}

var usedKeys = regexp.MustCompile(`!\{partitionKeyFromQuery:([^}]*)\}`)

// keyRules settles the partition keys of s: Firehose's way of writing them is taken apart, and without any the
// default ones are there as far as the prefix uses them.
func (c *checker) keyRules(s *Stream, path string) {
	used := make(map[string]bool)
	for _, m := range usedKeys.FindAllStringSubmatch(s.Prefix, -1) {
		used[m[1]] = true
	}
	prefixPath, keysPath := Field(path, "prefix"), Field(path, "partition_keys")
	keys, written := find(c.root, keysPath)
	switch {
	case !written:
		s.PartitionKeys = defaultKeys()
		maps.DeleteFunc(s.PartitionKeys, func(name, _ string) bool { return !used[name] })
	case keys.kind == textKind:
		split, err := splitQuery(keys.text)
		if err != nil {
			c.report(Fault{Path: keysPath, Err: err, Want: "a jq object such as {account: .AwsAccountId}"})
			return
		}
		s.PartitionKeys = split
	}
	for _, name := range slices.Sorted(maps.Keys(used)) {
		if _, defined := s.PartitionKeys[name]; !defined {
			c.report(Fault{
				Path: prefixPath, Err: fmt.Errorf("partition key %q is not defined", name),
				Want: "a key of partition_keys", Hint: didYouMean(name, slices.Sorted(maps.Keys(s.PartitionKeys))),
			})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.PartitionKeys)) {
		place := keysPath
		if written && keys.kind == objectKind {
			place = Field(keysPath, name)
		}
		if !used[name] && !c.faulty(prefixPath) {
			c.report(Fault{
				Path: place, Err: fmt.Errorf("partition key %q is not used", name),
				Want: "each key in the prefix", Hint: "add !{partitionKeyFromQuery:" + name + "} to the prefix, or leave the key out",
			})
		}
	}
}

func (c *checker) faulty(path string) bool {
	return slices.ContainsFunc(c.faults, func(e *FieldError) bool { return within(path, e.Path) && e.Path != "" })
}

func (c *checker) sourceRules(s *Spec) {
	first := map[string]string{}
	once := func(path, address string) {
		if _, port, err := net.SplitHostPort(address); err != nil || port == "0" {
			return
		}
		if other, twice := first[address]; twice {
			c.report(Fault{Path: path, Want: "an address of its own", Hint: other + " has it already"})
			return
		}
		first[address] = path
	}
	queues := map[string]bool{}
	for i, source := range s.Sources {
		if h := source.HTTP; h != nil {
			path := Field(Item("sources", i), "http")
			once(Field(path, "listen"), h.Listen)
			c.listenRules(h, path)
		}
		if q := source.SQS; q != nil {
			if queues[q.QueueURL] && q.QueueURL != "" {
				c.report(Fault{Path: Field(Field(Item("sources", i), "sqs"), "queue_url"), Want: "each queue once"})
			}
			queues[q.QueueURL] = true
		}
	}
	once("metrics.listen", s.Metrics.Listen)
	if err := checkAddress(s.Metrics.Listen); err != nil {
		c.report(Fault{Path: "metrics.listen", Err: err, Want: listenOrNot.want})
	}
}

func (c *checker) listenRules(h *HTTPSource, path string) {
	if err := checkAddress(h.Listen); err != nil {
		c.report(Fault{Path: Field(path, "listen"), Err: err, Want: listen.want})
		return
	}
	if h.Listen != "" && h.SNSEndpoint != "" && !loopback(h.Listen) && !c.faulty(Field(path, "sns_endpoint")) {
		c.report(Fault{
			Path: Field(path, "listen"), Want: "an address of this machine only, such as 127.0.0.1:8480",
			Hint: "sns_endpoint takes the messages of a lab: it is for trying things",
		})
		return
	}
	if h.Listen != "" && h.KeysFile == "" && !loopback(h.Listen) && !c.faulty(Field(path, "keys_file")) {
		c.report(Fault{
			Path: Field(path, "listen"), Want: "an address of this machine only, such as 127.0.0.1:8480, or a keys_file",
			Hint: "without keys everyone who reaches the address can write into the bucket",
		})
	}
}

// checkAddress checks what the grammar leaves open: numbers that only look like an address.
func checkAddress(listen string) error {
	host := hostOf(listen)
	numbers := strings.Contains(host, ".") && strings.Trim(host, "0123456789.") == ""
	if !numbers && !strings.Contains(host, ":") {
		return nil
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return fmt.Errorf("%s is no IP address", host)
	}
	return nil
}

// hostOf returns the host of HOST:PORT; nothing for any other text, which is reported elsewhere.
func hostOf(listen string) string {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return ""
	}
	return host
}

func loopback(listen string) bool {
	host := hostOf(listen)
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}
