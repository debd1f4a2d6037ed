package prefix

// MaxSteps bounds the work of one query on one record, in steps of the interpreter.
const MaxSteps = 1_000_000
