// Command catchment-lambda is what AWS Lambda runs for catchment, as an executable named bootstrap.
//
// What is to be done shows in what invokes it: see internal/handler. internal/function says where its settings come from.
package main

import (
	"context"
	"fmt"
	"os"

	"example.org/catchment/internal/function"
)

func main() {
	if err := function.Start(context.Background()); err != nil {
		fmt.Fprintf(os.Stderr, "catchment-lambda: error: %v\n", err)
		os.Exit(1)
	}
}
