package clients

import (
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestTheAWSCLIAgreesWithTheLab runs testdata/cli/*.txtar with each AWS CLI that is here, each in a lab of its own. The
// commands of these scripts, beside those of testscript:
//
//	aws WORD…             the AWS CLI as it is; ${NAME} is a variable in quotes too. A leading ! says that it fails
//	json TEXT             what was printed is JSON with at least this in it; "*" is any value but an empty one
//	keep NAME [PATH]      makes what was printed, or what is at a path such as Rules.0.Arn, a variable
//	fails CODE OPERATION  the error that the command printed
//	as ACCOUNT [REGION]   who asks from now on
//	lab METHOD PATH …     asks the lab itself
//	fetch URL             follows a link, as curl does
//	fill FILE…            puts variables into files, in place of ${NAME}
func TestTheAWSCLIAgreesWithTheLab(t *testing.T) { scripts(t, "testdata/cli", false) }

// TestTheArticleByTheAWSCLI is both ways of the article by commands of the AWS CLI and nothing else.
func TestTheArticleByTheAWSCLI(t *testing.T) { scripts(t, "testdata/article", true) }

func scripts(t *testing.T, folder string, standalone bool) {
	t.Helper()
	clis := installed().clis
	if len(clis) == 0 {
		missing(t, "the AWS CLI", "CATCHMENT_AWS_CLI")
	}
	for _, c := range clis {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			testscript.Run(t, testscript.Params{
				Dir: folder, RequireUniqueNames: true, Condition: c.is,
				Setup: func(e *testscript.Env) error {
					return setUp(e, &scene{ctx: t.Context(), lab: serve(t, standalone), cli: c, runner: newRunner(t, c, folder)})
				},
				Cmds: map[string]func(*testscript.TestScript, bool, []string){
					"aws": runAWS, "json": expectJSON, "keep": keep, "fails": expectFailure, "as": become, "lab": askLab, "fetch": fetch, "fill": fill,
				},
			})
		})
	}
}

// is answers the conditions [v1] and [v2].
func (c *cli) is(condition string) (bool, error) { return condition == "v"+strconv.Itoa(c.major), nil }

// TestTheProgramsThemselves runs a few commands as a shell does: the other tests keep the CLI's Python running.
func TestTheProgramsThemselves(t *testing.T) {
	scripts(t, "testdata/processes", false)
}
