package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"example.org/catchment/internal/function"
)

func TestMain(m *testing.M) {
	if function.Invoked() { // the demo's function is this very program, called bootstrap
		os.Exit(mainStatus())
	}
	testscript.Main(m, map[string]func(){
		"catchment": func() { os.Exit(mainStatus()) },
	})
}

// TestScript runs testdata/script/*.txtar: each command as its users type it. UPDATE=1 rewrites the expectations.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       os.Getenv("UPDATE") != "",
		RequireExplicitExec: true,
		Cmds:                scriptCommands,
	})
}
