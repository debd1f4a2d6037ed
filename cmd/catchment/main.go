// Command catchment puts the findings of every AWS account and region into one bucket.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"example.org/catchment/internal/function"
)

func main() {
	os.Exit(mainStatus())
}

// mainStatus is main without the exit, so that deferred work is done.
func mainStatus() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if function.Invoked() && len(os.Args) == 1 {
		// The program is its own Lambda function: the demo needs no second binary.
		if err := function.Start(ctx); err != nil {
			return reportError(ctx, err, os.Stderr)
		}
	}
	return run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}
