package config

import _ "embed"

//go:embed template.yaml
var template []byte

// Template returns a spec with comments that loads to Default, for people to start from.
func Template() []byte {
	return append([]byte(nil), template...)
}
