package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// scriptCommands are what scripts can do beside running programs.
var scriptCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	// waitfor FILE waits until another process has written it.
	"waitfor": func(ts *testscript.TestScript, _ bool, args []string) {
		if err := waitForFile(context.Background(), ts.MkAbs(args[0])); err != nil {
			ts.Fatalf("waitfor %s: %v", args[0], err)
		}
	},
	// ask-lab READY-FILE METHOD QUESTION [BODY] asks the lab that has written READY-FILE.
	"ask-lab": func(ts *testscript.TestScript, neg bool, args []string) {
		var ready labReady
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &ready))
		body := ""
		if len(args) > 3 {
			body = args[3]
		}
		r, err := http.NewRequestWithContext(context.Background(), args[1], ready.URL+"/_lab/"+args[2], strings.NewReader(body))
		ts.Check(err)
		r.Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(r)
		ts.Check(err)
		defer answer.Body.Close()
		_, err = io.Copy(ts.Stdout(), answer.Body)
		ts.Check(err)
		if (answer.StatusCode != http.StatusOK) != neg {
			ts.Fatalf("ask-lab: answered %s", answer.Status)
		}
	},
	// post READY-FILE FILE sends a file to the collector that has written READY-FILE.
	"post": func(ts *testscript.TestScript, neg bool, args []string) {
		var where listening
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &where))
		answer, err := http.Post(where.Events[0], "application/json", bytes.NewReader([]byte(ts.ReadFile(args[1]))))
		ts.Check(err)
		defer answer.Body.Close()
		_, err = io.Copy(ts.Stdout(), answer.Body)
		ts.Check(err)
		if (answer.StatusCode != http.StatusOK) != neg {
			ts.Fatalf("post: answered %s", answer.Status)
		}
	},
}

// waitForFile waits for what another process is to write: there is nothing to be told by.
func waitForFile(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(name); err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
