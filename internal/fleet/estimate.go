package fleet

import (
	"fmt"
	"math"
	"time"

	"example.org/catchment/internal/template"
)

// Prices in US dollars, of us-east-1, as this program's authors knew them on PricesOf, without asking AWS. They are for an
// estimate: AWS's price list decides, and differs by region. https://aws.amazon.com/firehose/pricing/ https://aws.amazon.com/s3/pricing/
const (
	PricesOf = "2026-11-24"

	priceIngest      = 0.029 // Firehose, direct put, a GB of the first 500 TB a month; each record rounded up to 5 KB
	pricePartition   = 0.020 // Firehose, a GB through dynamic partitioning
	priceObjects     = 0.005 // Firehose, 1,000 objects with dynamic partitioning
	priceJQ          = 0.070 // Firehose, an hour of jq
	pricePuts        = 0.005 // S3, 1,000 PUT requests
	priceStored      = 0.023 // S3 Standard, a GB and month
	priceAlarm       = 0.100 // CloudWatch, an alarm and month
	priceKey         = 1.000 // KMS, a key and month
	priceInvocations = 0.200 // Lambda, a million
	priceCompute     = 0.0000133334
)

// What an estimate assumes of findings.
const (
	findingBytes   = 5 << 10 // a finding in ASFF
	billedStep     = 5 << 10 // of Firehose
	compressedTo   = 0.12    // of its size
	jqPerRecord    = time.Millisecond
	perInvocation  = 100         // records
	invocationTime = 0.1         // seconds
	functionGB     = 256. / 1024 // memory
	daysOfMonth    = 30.4
	gb             = 1 << 30
)

// An Estimate is what a fleet would write and cost.
type Estimate struct {
	FindingsPerDay float64  `json:"findingsPerDay"`
	Cells          int      `json:"cells"`
	ObjectsPerDay  float64  `json:"objectsPerDay"`
	BytesPerDay    float64  `json:"bytesPerDay"` // in the bucket, compressed
	DollarsAMonth  float64  `json:"estimatedDollarsPerMonth"`
	Costs          []Cost   `json:"costs"`
	Assumptions    []string `json:"assumptions"`
}

// A Cost is one line of an estimate.
type Cost struct {
	What    string  `json:"what"`
	Dollars float64 `json:"dollarsPerMonth"`
}

// Estimate tells what findings at a rate, spread evenly over the cells, come to: what Firehose writes and what it costs.
func (f *Fleet) Estimate(findingsPerDay float64) Estimate {
	cells := len(f.org.Accounts) * len(f.org.Regions)
	return estimate(f.Template, cells, len(f.pipelines()), f.Encryption == "aws:kms", findingsPerDay)
}

func estimate(t template.Options, cells, pipelines int, key bool, perDay float64) Estimate {
	out := Estimate{FindingsPerDay: perDay, Cells: cells}
	dynamic := t.Partitioning != template.StreamPerAccount
	lambda := t.Newline == template.NewlineLambda
	gzip := false
	interval := 0.
	for _, s := range t.Streams {
		seconds, size := s.Interval.Seconds(), float64(s.Size)
		if dynamic {
			seconds, size = max(seconds, 60), max(size, 64<<20)
		}
		seconds = max(seconds, 1)
		interval = max(interval, seconds)
		gzip = gzip || s.Gzip
		// A buffer of a cell is written once an interval, if anything is in it, or when it is full.
		slots := 86_400 / seconds
		each := perDay / float64(max(cells, 1))
		bySlot := slots * (1 - math.Exp(-each/slots))
		bySize := each * findingBytes / max(size, 1)
		out.ObjectsPerDay += float64(cells) * max(bySlot, bySize)
	}
	streams := float64(len(t.Streams))
	records := perDay * streams * daysOfMonth
	size := records * findingBytes
	kept := size
	if gzip {
		kept *= compressedTo
	}
	out.BytesPerDay = kept / daysOfMonth
	objects := out.ObjectsPerDay * daysOfMonth
	perPipeline := 1 + 3*len(t.Streams)
	if !dynamic {
		perPipeline = 1 + 3*len(t.Streams)*len(t.Accounts)
	}
	add := func(what string, dollars float64) {
		out.Costs = append(out.Costs, Cost{what, dollars})
		out.DollarsAMonth += dollars
	}
	add("Firehose: taking records, each rounded up to 5 KB", records*math.Ceil(float64(findingBytes)/billedStep)*billedStep/gb*priceIngest)
	if dynamic {
		add("Firehose: dynamic partitioning", size/gb*pricePartition+objects/1000*priceObjects)
		if !lambda {
			add("Firehose: jq", records*jqPerRecord.Hours()*priceJQ)
		}
	}
	if lambda {
		calls := records / perInvocation
		add("Lambda", calls/1e6*priceInvocations+calls*invocationTime*functionGB*priceCompute)
	}
	add("S3: PUT requests", objects/1000*pricePuts)
	add("S3: a month's objects, kept for a month", kept/gb*priceStored)
	add("CloudWatch: alarms", float64(pipelines*perPipeline)*priceAlarm)
	if key {
		add("KMS: the key", priceKey)
	}
	out.Assumptions = []string{
		fmt.Sprintf("%.0f findings a day in all, spread evenly over %d cells and the hours of the day", perDay, cells),
		fmt.Sprintf("a finding is 5 KB, and compressed %.0f%% of that", compressedTo*100),
		fmt.Sprintf("a buffer is written after %s, if anything is in it", time.Duration(interval)*time.Second),
		"prices of us-east-1 as known when this was written, " + PricesOf + ", without free tiers and taxes: AWS's price list decides",
		"not in it: Inspector, Security Hub's own charges, KMS requests, logs, Athena; events of AWS's services are free",
	}
	return out
}
