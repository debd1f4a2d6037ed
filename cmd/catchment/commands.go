package main

import "github.com/spf13/cobra"

// commands lists the program's commands, one file each.
func commands() []*cobra.Command {
	return []*cobra.Command{
		newCheckCommand(),
		newDemoCommand(),
		newImportCommand(),
		newInitCommand(),
		newLabCommand(),
		newMatchCommand(),
		newRunCommand(),
		newSchemaCommand(),
		newStatusCommand(),
		newTemplateCommand(),
	}
}
