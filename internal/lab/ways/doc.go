// Package ways proves that all ways through the lab bring the same findings to the same places.
//
// It holds tests alone. The same events of one organisation take every way at once, each to a bucket of its own:
//
//	                        ┌─▶ Firehose, partitions by query, its own delimiter ─────────────────────▶ S3
//	                        ├─▶ Firehose, partitions by Lambda, newline by Lambda ────────────────────▶ S3
//	                        ├─▶ Firehose for each account, its own delimiter ─────────────────────────▶ S3
//	Security Hub ─▶ rules ──┼─▶ Firehose for each account, newline by Lambda ─────────────────────────▶ S3
//	                        ├─▶ SQS ─▶ collector ─────────────────────────────────────────────────────▶ S3
//	                        ├─▶ API destination ─▶ collector ─────────────────────────────────────────▶ S3
//	                        ├─▶ Firehose ─▶ its HTTP endpoint destination ─▶ collector ───────────────▶ S3
//	                        ├─▶ SQS ─▶ Lambda ────────────────────────────────────────────────────────▶ S3
//	                        └─▶ Firehose, whole events ─▶ S3 ─▶ importer ─────────────────────────────▶ S3
//
// Each bucket is held against what Security Hub has taken, and against the others: the lines byte by byte, the folders,
// what is there twice. Faults of the lab are on the way: a way that guarantees a thing has to keep it with them.
//
// CATCHMENT_WAYS is how many random organisations are tried (4, or 2 with the race detector), CATCHMENT_WAYS_SEED the seed
// of the first (1).
package ways
