package config

import "time"

// This file is the table of the spec: what may stand where, in the words of its documentation. Sections are in the
// order of the file that "catchment init" writes.

func specNode(s *Spec) node {
	return object{want: "an object with the fields of a spec", fields: []field{
		{"bucket", "Where objects go.", true, func() node { return bucketNode(&s.Bucket) }},
		{"streams", "Pipelines from events to objects. Default: one stream, inspector.", false, func() node {
			return list{
				want: "a list of streams", least: 1, most: 1000,
				reset: func() { s.Streams = nil },
				item: func() node {
					s.Streams = append(s.Streams, defaultStream())
					return streamNode(&s.Streams[len(s.Streams)-1])
				},
			}
		}},
		{"sources", "Where \"catchment run\" takes events from. Default: HTTP on 127.0.0.1:8480.", false, func() node {
			return list{
				want: "a list of sources", most: 100,
				reset: func() { s.Sources = nil },
				item: func() node {
					s.Sources = append(s.Sources, Source{})
					return sourceNode(&s.Sources[len(s.Sources)-1])
				},
			}
		}},
		{"journal", "The durable log between accepted and stored.", false, func() node { return journalNode(&s.Journal) }},
		{"duplicates", "The window in which a repeated event is recognised.", false, func() node {
			return duplicatesNode(&s.Duplicates)
		}},
		{"drain", "What happens at shutdown.", false, func() node {
			return object{want: "an object", fields: []field{
				{"grace", "How long to go on storing; what is left is delivered at the next start.", false, func() node {
					return span(&s.Drain.Grace)
				}},
			}}
		}},
		{"metrics", "The listener for /metrics, /healthz and /readyz.", false, func() node {
			return object{want: "an object", fields: []field{
				{"listen", "HOST:PORT, or none.", false, func() node { return word(listenOrNot, &s.Metrics.Listen) }},
			}}
		}},
		{"log", "The log on standard error. It never holds a finding's text.", false, func() node {
			return object{want: "an object", fields: []field{
				{"format", "How a line is written.", false, func() node { return word(words("text", "json"), &s.Log.Format) }},
				{"level", "The least level that is written.", false, func() node {
					return word(words("debug", "info", "warn", "error"), &s.Log.Level)
				}},
			}}
		}},
		{"organization", "The accounts and regions that findings come from.", false, func() node {
			s.Organization = defaultOrganization()
			return organizationNode(s.Organization)
		}},
		{"managed", "How the pipeline looks when AWS runs it.", false, func() node {
			s.Managed = defaultManaged()
			return managedNode(s.Managed)
		}},
	}}
}

func bucketNode(b *Bucket) node {
	return object{want: "an object with a url", fields: []field{
		{
			"url", "s3://BUCKET[/PREFIX][?region=REGION&endpoint=URL&path_style=true], file:///FOLDER, or a folder.", true,
			func() node { return word(bucketURL, &b.URL) },
		},
		{"encryption", "Encryption at rest, for s3://.", false, func() node {
			return object{want: "an object", fields: []field{
				{"sse", "What to ask S3 for. none: the bucket's own default.", false, func() node {
					return word(words(SSENone, SSEAES256, SSEKMS), &b.Encryption.SSE)
				}},
				{
					"kms_key", "Key id, ARN or alias/NAME, with sse: aws:kms. Default: the account's own key for S3.", false,
					func() node { return word(kmsKey, &b.Encryption.KMSKey) },
				},
			}}
		}},
		{"checksum", "What S3 verifies an upload by. none: only where S3 demands one.", false, func() node {
			return word(words("crc32", "crc32c", "crc64nvme", "sha256", ChecksumNone), &b.Checksum)
		}},
	}}
}

func streamNode(s *Stream) node {
	return object{want: "an object: a stream", fields: []field{
		{"name", "The stream's name: part of object names, metrics and states.", true, func() node {
			return word(streamName, &s.Name)
		}},
		{"version", "Part of object names; add one when a change should show there.", false, func() node {
			return integer{least: 1, most: 999_999_999, to: &s.Version, def: s.Version}
		}},
		{"pattern", "EventBridge event pattern: which events are of this stream.", true, func() node {
			return document{want: "an EventBridge event pattern: an object", to: &s.Pattern}
		}},
		{"record", "What a line is: the finding, or the whole event.", false, func() node {
			return word(words(RecordFinding, RecordEvent), &s.Record)
		}},
		{
			"partition_keys", "Names for !{partitionKeyFromQuery:NAME}, each with its jq; or one jq object, as Firehose has it. " +
				"Default: {account: .AwsAccountId, region: .Region}, as far as the prefix uses them.", false,
			func() node { return keysNode(s) },
		},
		{"prefix", "Firehose prefix expression: where the stream's objects lie in the bucket.", true, func() node {
			return word(expression, &s.Prefix)
		}},
		{"error_prefix", "Firehose prefix expression: where rejected records are kept.", false, func() node {
			return word(expression, &s.ErrorPrefix)
		}},
		{"time_zone", "Of !{timestamp:...} and object names.", false, func() node { return word(timeZone, &s.TimeZone) }},
		{
			"timestamp", "The instant a prefix is evaluated at: arrival of the object's oldest record, or the event's own time.", false,
			func() node { return word(words(TimestampArrival, TimestampEvent), &s.Timestamp) },
		},
		{"buffering", "When a partition is written: at whichever comes first.", false, func() node {
			return object{want: "an object", fields: []field{
				{"size", "Bytes before compression.", false, func() node { return size(batchSize, &s.Buffering.Size) }},
				{"interval", "Age of the oldest record.", false, func() node { return span(&s.Buffering.Interval) }},
			}}
		}},
		{"compression", "Of objects.", false, func() node {
			return word(words(CompressionGzip, CompressionZstd, CompressionNone), &s.Compression)
		}},
		{"compression_level", "1 is fast, 9 is small. Default: the compressor's own choice.", false, func() node {
			return integer{least: 1, most: 9, to: &s.Level}
		}},
	}}
}

// keysNode leaves a text, which is Firehose's way of writing keys, to rules: it needs a parser.
func keysNode(s *Stream) node {
	const want = "names with their jq: an object, or a text such as {account: .AwsAccountId}"
	query := jqProgram
	query.want = want
	return either{
		asText: text{grammar: query, set: func(string) {}},
		other: dictionary{
			want: want, names: keyName, most: 50,
			reset: func() { s.PartitionKeys = map[string]string{} },
			put: func(name string) node {
				return text{grammar: jqProgram, set: func(t string) { s.PartitionKeys[name] = t }}
			},
		},
	}
}

func sourceNode(s *Source) node {
	return object{want: "an object with http or sqs", one: true, fields: []field{
		{
			"http", "EventBridge API destinations, SNS subscriptions, Firehose HTTP endpoint destinations, plain POST.", false,
			func() node {
				s.HTTP = defaultHTTPSource()
				return httpNode(s.HTTP)
			},
		},
		{"sqs", "An SQS queue that an EventBridge rule or an SNS topic fills.", false, func() node {
			s.SQS = &SQSSource{Ack: AckJournal}
			return object{want: "an object with a queue_url", fields: []field{
				{"queue_url", "The queue.", true, func() node { return word(queueURL, &s.SQS.QueueURL) }},
				{"ack", "When a message is deleted: its events are in the journal, or stored in the bucket.", false, func() node {
					return word(words(AckJournal, AckStored), &s.SQS.Ack)
				}},
			}}
		}},
	}}
}

func httpNode(h *HTTPSource) node {
	return object{want: "an object with a listen address", fields: []field{
		{"listen", "HOST:PORT.", true, func() node { return word(listen, &h.Listen) }},
		{
			"keys_file", "A file with one API key a line. Required unless listen is on this machine only.", false,
			func() node { return word(filePath, &h.KeysFile) },
		},
		{"tls", "Serve HTTPS. Default: plain HTTP.", false, func() node {
			h.TLS = &TLS{}
			return object{want: "an object with cert and key", fields: []field{
				{"cert", "PEM file: the certificate, then its chain.", true, func() node { return word(filePath, &h.TLS.Cert) }},
				{"key", "PEM file: the private key.", true, func() node { return word(filePath, &h.TLS.Key) }},
			}}
		}},
		{"max_body", "The largest request, before and after decompression.", false, func() node {
			return size(bodySize, &h.MaxBody)
		}},
		{"topics", "SNS topics whose subscription is confirmed and whose messages are taken.", false, func() node {
			return scalars("a list of ARNs of SNS topics", 1000, topic, &h.Topics)
		}},
		{
			"sns_endpoint", "A lab on this machine, whose SNS messages are let in instead of those of AWS. For trying things; " +
				"listen has to be on this machine too.", false,
			func() node { return word(snsEndpoint, &h.SNSEndpoint) },
		},
		{"retry_after", "What senders are told to wait while the journal is full.", false, func() node {
			return span(&h.RetryAfter)
		}},
	}}
}

func journalNode(j *Journal) node {
	return object{want: "an object", fields: []field{
		{"path", "A folder, for one process.", false, func() node { return word(filePath, &j.Path) }},
		{"max_size", "Beyond it, senders are told to wait.", false, func() node { return size(journalSize, &j.MaxSize) }},
		{"segment_size", "Size of one file.", false, func() node { return size(segmentSize, &j.SegmentSize) }},
	}}
}

func duplicatesNode(d *Duplicates) node {
	return object{want: "an object", fields: []field{
		{"count", "The last so many events are remembered; 0 for none.", false, func() node {
			return integer{most: 1_000_000_000, to: &d.Count, def: d.Count}
		}},
		{"age", "Events older than this are forgotten.", false, func() node { return span(&d.Age) }},
	}}
}

func organizationNode(o *Organization) node {
	return object{want: "an object", fields: []field{
		{"administrator", "The account that administers Security Hub.", true, func() node {
			return word(account, &o.Administrator)
		}},
		{"accounts", "all (of the organization), or a list. Default: all.", false, func() node {
			return either{
				asText: text{grammar: allAccounts, set: func(string) { o.Accounts = nil }},
				other:  scalars(allAccounts.want, 50_000, account, &o.Accounts),
			}
		}},
		{"regions", "The regions with findings.", true, func() node {
			return scalars("a list of regions", 100, region, &o.Regions)
		}},
		{"role", "The role that is assumed in each account.", false, func() node { return word(roleName, &o.Role) }},
	}}
}

func managedNode(m *Managed) node {
	return object{want: "an object", fields: []field{
		{"partitioning", "One Firehose that partitions, or one for each account.", false, func() node {
			return word(words("dynamic", "stream-per-account"), &m.Partitioning)
		}},
		{"newline", "Who ends lines: Firehose, or a Lambda function.", false, func() node {
			return word(words("native", "lambda"), &m.Newline)
		}},
		{"topology", "A pipeline in each region, or one in the home region of a finding aggregator.", false, func() node {
			return word(words("per-region", "aggregated"), &m.Topology)
		}},
	}}
}

func word(g grammar, to *string) node {
	return text{grammar: g, def: *to, set: func(t string) { *to = t }}
}

func size(g grammar, to *int64) node {
	return text{grammar: g, def: FormatSize(*to), set: func(t string) { *to = parseSize(t) }}
}

func span(to *time.Duration) node {
	return text{grammar: duration, def: FormatDuration(*to), set: func(t string) { *to = parseDuration(t) }}
}

// scalars is a list of at least one text, each once.
func scalars(want string, most int, g grammar, to *[]string) node {
	return list{
		want: want, least: 1, most: most, unique: true,
		reset: func() { *to = nil },
		item: func() node {
			return text{grammar: g, set: func(t string) { *to = append(*to, t) }}
		},
	}
}
