package inspector2

import (
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/catchment/internal/lab/cloud"
	"example.org/catchment/internal/lab/wire"
)

// source is where Inspector's events come from.
const source = "aws.inspector2"

// eventTime is how events write times: neither as the API does nor as Security Hub.
const eventTime = "Mon Jan 02 15:04:05.000 MST 2006"

var eventTimes = json.WithMarshalers(json.MarshalToFunc(func(e *jsontext.Encoder, t wire.Epoch) error {
	return e.WriteToken(jsontext.String(t.UTC().Format(eventTime)))
}))

// A machineTwin says again what InstanceDetails say, in words that fit other clouds too.
type machineTwin struct {
	Type      string     `json:"type,omitempty"`
	ImageID   string     `json:"vmImageReference,omitempty"`
	IPv4      []string   `json:"ipV4Addresses"`
	IPv6      []string   `json:"ipV6Addresses"`
	NetworkID string     `json:"networkId,omitempty"`
	SubnetIDs []string   `json:"subnetIds"`
	Launched  wire.Epoch `json:"launchedAt,omitzero"`
	Platform  string     `json:"platform,omitempty"`
	Role      string     `json:"executionRole,omitempty"`
}

// A serverlessTwin says again what FunctionDetails say.
type serverlessTwin struct {
	Name          string     `json:"serverlessFunctionName"`
	Runtime       string     `json:"runtime"`
	Version       string     `json:"version"`
	CodeDigest    string     `json:"codeDigest"`
	LastModified  wire.Epoch `json:"lastModifiedAt,omitzero"`
	Role          string     `json:"executionRole"`
	PackageType   string     `json:"packageType,omitempty"`
	Architectures []string   `json:"architectures,omitempty"`
}

// eventForm is a finding as the event Inspector2 Finding has it.
func (f *Finding) eventForm() (jsontext.Value, error) {
	twin := *f
	twin.Resources = make([]Resource, len(f.Resources))
	for i, r := range f.Resources {
		r.Provider, r.ProviderAccountID = "AWS", f.AccountID
		if d := r.Details.Instance; d != nil {
			r.Details.VM = &machineTwin{d.Type, d.ImageID, d.IPv4, d.IPv6, d.VPCID, []string{d.SubnetID}, d.LaunchedAt, d.Platform, d.ProfileARN}
		}
		if d := r.Details.Function; d != nil {
			r.Details.Serverless = &serverlessTwin{
				d.Name, d.Runtime, d.Version, d.CodeSHA256, d.LastModifiedAt, d.RoleARN, d.PackageType, d.Architectures,
			}
		}
		twin.Resources[i] = r
	}
	b, err := json.Marshal(&twin, eventTimes, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("finding %s as an event: %w", f.ARN, err)
	}
	return b, nil
}

// emitFinding may be called under mu, like the other emitters.
func (s *Service) emitFinding(p cloud.Place, f *Finding) error {
	detail, err := f.eventForm()
	if err != nil {
		return err
	}
	_, err = s.cloud.Emit(p, cloud.Event{Source: source, DetailType: "Inspector2 Finding", Resources: []string{f.Resources[0].ID}, Detail: detail})
	return err
}

type severityCounts struct {
	Critical int `json:"CRITICAL"`
	High     int `json:"HIGH"`
	Medium   int `json:"MEDIUM"`
	Total    int `json:"TOTAL"`
}

type scanDetail struct {
	Status     string         `json:"scan-status"`
	Repository string         `json:"repository-name,omitempty"`
	Counts     severityCounts `json:"finding-severity-counts"`
	Digest     string         `json:"image-digest,omitempty"`
	ImageTags  []string       `json:"image-tags,omitempty"`
	InstanceID string         `json:"instance-id,omitempty"`
	Version    string         `json:"version"`
}

// emitScan tells that the first scan of a resource is done. There is no such event for functions.
func (s *Service) emitScan(p cloud.Place, r *Resource, counts severityCounts) error {
	detail := scanDetail{Status: "INITIAL_SCAN_COMPLETE", Counts: counts, Version: "1.0"}
	about := r.ID
	switch {
	case r.Details.Image != nil:
		about = p.ARN("ecr", "repository/"+r.Details.Image.Repository)
		detail.Repository, detail.Digest, detail.ImageTags = about, r.Details.Image.Hash, r.Details.Image.Tags
	case r.Type == Instance:
		detail.InstanceID = r.ID
	default:
		return nil
	}
	_, err := s.cloud.Emit(p, cloud.Event{Source: source, DetailType: "Inspector2 Scan", Resources: []string{about}, Detail: detail})
	return err
}

type coverageStatus struct {
	Reason string `json:"reason"`
	Status string `json:"statusCodeValue"`
}

type coverageDetail struct {
	ScanStatus        coverageStatus `json:"scanStatus"`
	ScanType          string         `json:"scanType"`
	Provider          string         `json:"provider"`
	ProviderAccountID string         `json:"providerAccountId"`
	ProviderRegion    string         `json:"providerRegion"`
	EventTimestamp    string         `json:"eventTimestamp"`
	Version           string         `json:"version"`
}

func (s *Service) emitCoverage(p cloud.Place, c *coverage) error {
	detail := coverageDetail{
		ScanStatus: coverageStatus{c.reason, c.statusCode()}, ScanType: "PACKAGE", Provider: "AWS", ProviderAccountID: p.Account,
		ProviderRegion: p.Region, EventTimestamp: s.now().Format("2006-01-02T15:04:05.000000Z"), Version: "1.0",
	}
	_, err := s.cloud.Emit(p, cloud.Event{Source: source, DetailType: "Inspector2 Coverage", Resources: []string{c.resource.ID}, Detail: detail})
	return err
}

// emitLimit tells the delegated administrator that an account could not become a member.
func (s *Service) emitLimit(p cloud.Place) {
	// Emit's only error is a detail that cannot be written, and this one can.
	_, _ = s.cloud.Emit(p, cloud.Event{Source: source, DetailType: "Inspector2 AutoEnable", Bare: true, Detail: map[string]string{
		"version": "1.0", "AutoEnableStatus": "FAILED",
		"Reason": fmt.Sprintf("the delegated administrator has %d members, the most it can", s.mostMembers()),
	}})
}
