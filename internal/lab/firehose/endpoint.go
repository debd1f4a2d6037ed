package firehose

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// An endpoint is where records are posted to.
type endpoint struct {
	url      string
	header   http.Header // that every request has
	gzip     bool
	size     int
	interval time.Duration
}

// Headers of the delivery protocol. https://docs.aws.amazon.com/firehose/latest/dev/httpdeliveryrequestresponse.html
const (
	headerVersion    = "X-Amz-Firehose-Protocol-Version"
	headerRequest    = "X-Amz-Firehose-Request-Id"
	headerSource     = "X-Amz-Firehose-Source-Arn"
	headerKey        = "X-Amz-Firehose-Access-Key"
	headerAttributes = "X-Amz-Firehose-Common-Attributes"
)

func (p *plan) compileHTTP(h *httpConfig, at cloud.Place, now time.Time) error {
	own(&h.S3Configuration)
	own(&h.RequestConfiguration)
	if h.SecretsManagerConfiguration != nil && on(h.SecretsManagerConfiguration.Enabled) {
		return wire.Errorf(invalidArgument, "The lab's Firehose does not have Secrets Manager.")
	}
	if h.EndpointConfiguration == nil || h.S3Configuration == nil {
		return wire.Errorf(invalidArgument, "EndpointConfiguration and S3Configuration are required for an HTTP endpoint destination.")
	}
	if err := h.fill(); err != nil {
		return err
	}
	role := h.RoleARN
	if role == "" {
		role = h.S3Configuration.RoleARN
	}
	if err := p.compileProcessors(h.ProcessingConfiguration, role, false, at); err != nil {
		return err
	}
	var err error
	if p.endpoint, err = compileEndpoint(h); err != nil {
		return err
	}
	p.retry = seconds(h.RetryOptions)
	if p.main, err = p.compileBackup(h.S3Configuration, "", now); err != nil {
		return err
	}
	if h.S3BackupMode == "AllData" {
		p.backup = p.main
	}
	return nil
}

func (h *httpConfig) fill() error {
	var err error
	if h.BufferingHints, err = h.BufferingHints.fill(defaultSize, defaultInterval); err != nil {
		return err
	}
	if h.RequestConfiguration == nil {
		h.RequestConfiguration = &requestConfig{}
	}
	if h.RequestConfiguration.ContentEncoding == "" {
		h.RequestConfiguration.ContentEncoding = "NONE"
	}
	if h.RetryOptions == nil || h.RetryOptions.DurationInSeconds == nil {
		h.RetryOptions = &retryOptions{new(defaultRetry)}
	}
	if h.S3BackupMode == "" {
		h.S3BackupMode = "FailedDataOnly"
	}
	if h.CloudWatchLoggingOptions == nil {
		h.CloudWatchLoggingOptions = &loggingOptions{Enabled: new(bool)}
	}
	return nil
}

func compileEndpoint(h *httpConfig) (*endpoint, error) {
	if err := checkURL(h.EndpointConfiguration.URL); err != nil {
		return nil, err
	}
	out := &endpoint{
		url: h.EndpointConfiguration.URL, gzip: h.RequestConfiguration.ContentEncoding == "GZIP",
		size:     *h.BufferingHints.SizeInMBs * mebibyte,
		interval: time.Duration(*h.BufferingHints.IntervalInSeconds) * time.Second,
		header:   make(http.Header),
	}
	out.header.Set("Content-Type", "application/json")
	out.header.Set(headerVersion, "1.0")
	if key := text(h.EndpointConfiguration.AccessKey); key != "" {
		out.header.Set(headerKey, key)
	}
	if out.gzip {
		out.header.Set("Content-Encoding", "gzip")
	}
	if len(h.RequestConfiguration.CommonAttributes) > 0 {
		attributes := make(map[string]string)
		for _, a := range h.RequestConfiguration.CommonAttributes {
			if _, twice := attributes[a.AttributeName]; twice {
				return nil, wire.Errorf(invalidArgument, "Http Endpoint Common Attributes have duplicate name %s", quoted(a.AttributeName))
			}
			attributes[a.AttributeName] = a.AttributeValue
		}
		b, err := json.Marshal(map[string]any{"commonAttributes": attributes}, json.Deterministic(true))
		if err != nil {
			return nil, wire.Errorf(invalidArgument, "CommonAttributes: %v", err)
		}
		out.header.Set(headerAttributes, string(b))
	}
	return out, nil
}

// checkURL takes what AWS takes, https at port 443, and any scheme and port of this machine's loopback.
func checkURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return wire.Errorf("ValidationException", "1 validation error detected: Value %s at "+
			"'httpEndpointDestinationConfiguration.endpointConfiguration.url' failed to satisfy constraint: "+
			"Member must satisfy regular expression pattern: https://.*", quoted(s))
	case isLoopback(u.Hostname()):
		return nil
	case u.Scheme == "http":
		return wire.Errorf(invalidArgument, "Endpoint URL %s: http is for loopback addresses only, and not on AWS.", quoted(s))
	case u.Port() != "" && u.Port() != "443":
		return wire.Errorf(invalidArgument, "Endpoint URL %s: the port has to be 443.", quoted(s))
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
