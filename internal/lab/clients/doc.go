// Package clients holds the tests in which real clients drive the lab from outside: the AWS CLI, and boto3.
//
// The Go SDK, which the tests of the services use, is one reading of AWS's protocols. The AWS CLI (v1 and v2) and boto3
// are others, and what people have at hand. Here they do what the article does, with its own commands first, and call
// what else the lab has; what they make of the answers is compared, and held against botocore's models of the services.
//
// The programs are found in PATH, or named by CATCHMENT_AWS_CLI and CATCHMENT_BOTO3_PYTHON (several, separated as in
// PATH). Without them the tests are skipped, or fail where CATCHMENT_REQUIRE_AWS_CLI is 1. Starting a CLI takes a second:
// one that is a script of Python is kept running, but for a few commands. With CATCHMENT_CLIENTS=processes it is not.
//
// https://docs.aws.amazon.com/cli/latest/reference/, https://boto3.amazonaws.com/v1/documentation/api/latest/
package clients
