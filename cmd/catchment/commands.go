package main

import "github.com/spf13/cobra"

// commands lists the program's commands, one file each.
func commands() []*cobra.Command {
	return []*cobra.Command{
		newCheckCommand(),
		newDemoCommand(),
		newDeployCommand(),
		newDestroyCommand(),
		newImportCommand(),
		newInitCommand(),
		newLabCommand(),
		newMatchCommand(),
		newPlanCommand(),
		newRunCommand(),
		newSchemaCommand(),
		newStatusCommand(),
		newTemplateCommand(),
	}
}
