package config

import (
	"bytes"
	"encoding/json"
)

type schema = map[string]any

// Schema returns the JSON Schema (2020-12) of catchment.yaml, for editors. It says what the decoder says; it cannot
// say the rules between fields, of values that need a parser (prefixes, patterns, jq, time zones, URLs), and of YAML.
func Schema() []byte {
	s := specNode(Default()).schema()
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "catchment.yaml"
	s["description"] = "The spec of catchment: which events go where. A text ${NAME} as a whole value is a variable of the environment."
	s["$defs"] = schema{
		"variable": schema{"type": "string", "pattern": "^" + variablePattern + "$"},
		"pattern": schema{
			"type": "object", "additionalProperties": schema{"$ref": "#/$defs/patternValue"},
		},
		"patternValue": schema{"anyOf": []any{
			schema{"type": []string{"null", "boolean", "number"}},
			schema{"type": "string", "anyOf": []any{
				schema{"$ref": "#/$defs/variable"}, schema{"not": schema{"pattern": variablePattern}},
			}},
			schema{"type": "array", "items": schema{"$ref": "#/$defs/patternValue"}},
			schema{"$ref": "#/$defs/pattern"},
		}},
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	_ = e.Encode(s) // maps and texts into memory: neither can fail
	return b.Bytes()
}

func (o object) schema() schema {
	properties := schema{}
	var required []string
	for _, f := range o.fields {
		s := f.node().schema()
		s["description"] = f.doc
		properties[f.name] = s
		if f.required {
			required = append(required, f.name)
		}
	}
	s := schema{"type": "object", "properties": properties, "additionalProperties": false}
	if required != nil {
		s["required"] = required
	}
	if o.one {
		s["minProperties"], s["maxProperties"] = 1, 1
	}
	return s
}

func (l list) schema() schema {
	s := schema{"type": "array", "items": l.item().schema(), "maxItems": l.most}
	if l.least > 0 {
		s["minItems"] = l.least
	}
	if l.unique {
		s["uniqueItems"] = true
	}
	return s
}

func (g grammar) schema() schema {
	if g.words != nil {
		return schema{"enum": g.words}
	}
	s := schema{"type": "string", "pattern": g.form.String()}
	if g.most > 0 {
		s["maxLength"] = g.most
	}
	return s
}

func (t text) schema() schema {
	return orVariable(t.grammar.schema(), t.def)
}

func (n integer) schema() schema {
	var def any
	if n.def != 0 {
		def = n.def
	}
	return orVariable(schema{"type": "integer", "minimum": n.least, "maximum": n.most}, def)
}

func orVariable(s schema, def any) schema {
	s = schema{"anyOf": []any{s, schema{"$ref": "#/$defs/variable"}}}
	if def != nil && def != "" {
		s["default"] = def
	}
	return s
}

func (d dictionary) schema() schema {
	return schema{
		"type": "object", "maxProperties": d.most,
		"propertyNames":        d.names.schema(),
		"additionalProperties": d.put("any").schema(),
	}
}

func (e either) schema() schema {
	return schema{"anyOf": []any{e.asText.schema(), e.other.schema()}}
}

func (d document) schema() schema {
	s := schema{"$ref": "#/$defs/pattern"}
	return s
}
