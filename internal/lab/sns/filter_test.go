package sns

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestFilters(t *testing.T) {
	attributes := map[string]attribute{
		"s": {DataType: "String", StringValue: "value"}, "n": {DataType: "Number", StringValue: "10.0"},
		"list": {DataType: "String.Array", StringValue: `["a",5,true,null]`}, "b": {DataType: "Binary", BinaryValue: []byte{0}},
	}
	const body = `{"s":"value","n":10,"deep":{"er":[{"x":"a"},{"x":"b"}]},"yes":true,"nil":null,"empty":[]}`
	for name, tt := range map[string]struct {
		policy string
		body   bool
		want   bool
	}{
		"a text":                        {`{"s":["other","value"]}`, false, true},
		"another text":                  {`{"s":["other"]}`, false, false},
		"texts count by case":           {`{"s":["VALUE"]}`, false, false},
		"but not here":                  {`{"s":[{"equals-ignore-case":"VALUE"}]}`, false, true},
		"a prefix":                      {`{"s":[{"prefix":"val"}]}`, false, true},
		"another prefix":                {`{"s":[{"prefix":"alu"}]}`, false, false},
		"a suffix":                      {`{"s":[{"suffix":"lue"}]}`, false, true},
		"a number":                      {`{"n":[10]}`, false, true},
		"a number is no text":           {`{"n":["10.0"]}`, false, false},
		"a range":                       {`{"n":[{"numeric":[">",9,"<=",10]}]}`, false, true},
		"outside of a range":            {`{"n":[{"numeric":[">=",9,"<",10]}]}`, false, false},
		"exactly":                       {`{"n":[{"numeric":["=",10]}]}`, false, true},
		"a text in a range":             {`{"s":[{"numeric":[">",0]}]}`, false, false},
		"it exists":                     {`{"s":[{"exists":true}]}`, false, true},
		"it does not":                   {`{"x":[{"exists":true}]}`, false, false},
		"it should not":                 {`{"x":[{"exists":false}]}`, false, true},
		"it should not, but does":       {`{"s":[{"exists":false}]}`, false, false},
		"anything but it":               {`{"s":[{"anything-but":["value"]}]}`, false, false},
		"anything but another":          {`{"s":[{"anything-but":["a",5]}]}`, false, true},
		"anything but its prefix":       {`{"s":[{"anything-but":{"prefix":"val"}}]}`, false, false},
		"anything but, and nothing":     {`{"x":[{"anything-but":"a"}]}`, false, false},
		"one of a list":                 {`{"list":["a"]}`, false, true},
		"null in a list":                {`{"list":[null]}`, false, true},
		"not in a list":                 {`{"list":["b"]}`, false, false},
		"bytes":                         {`{"b":["AA=="]}`, false, true},
		"two names":                     {`{"s":["value"],"n":[11]}`, false, false},
		"nothing is asked":              {`{}`, false, true},
		"in the body":                   {`{"s":["value"]}`, true, true},
		"deep in lists":                 {`{"deep":{"er":{"x":["b"]}}}`, true, true},
		"deep, and not":                 {`{"deep":{"er":{"x":["c"]}}}`, true, false},
		"a boolean":                     {`{"yes":[true]}`, true, true},
		"null":                          {`{"nil":[null]}`, true, true},
		"nothing is in an empty list":   {`{"empty":[{"exists":true}]}`, true, false},
		"an object is no value":         {`{"deep":[{"exists":true}]}`, true, false},
		"a path through what is a text": {`{"s":{"x":["a"]}}`, true, false},
	} {
		f, bad := readFilter(tt.policy, tt.body)
		if bad != nil {
			t.Errorf("%s: %v", name, bad)
			continue
		}
		if got := f.takes(body, attributes); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if f, _ := readFilter(`{}`, true); f.takes("[]", nil) || f.takes("no JSON", nil) || !f.takes("{}", nil) {
		t.Error("a filter of bodies takes objects only")
	}
}

func TestFiltersThatAreRefused(t *testing.T) {
	for name, policy := range map[string]string{
		"no JSON":                `x`,
		"null":                   `null`,
		"a list":                 `[]`,
		"a text without a list":  `{"a":"b"}`,
		"an empty list":          `{"a":[]}`,
		"a list in a list":       `{"a":[["b"]]}`,
		"two operators":          `{"a":[{"prefix":"b","suffix":"c"}]}`,
		"an operator that isn't": `{"a":[{"like":"b"}]}`,
		"an empty prefix":        `{"a":[{"prefix":""}]}`,
		"exists perhaps":         `{"a":[{"exists":"b"}]}`,
		"numeric, one operator":  `{"a":[{"numeric":[">"]}]}`,
		"numeric, no operator":   `{"a":[{"numeric":["~",1]}]}`,
		"numeric, a text":        `{"a":[{"numeric":[">","1"]}]}`,
		"anything but nothing":   `{"a":[{"anything-but":[]}]}`,
		"anything but a range":   `{"a":[{"anything-but":{"numeric":[">",1]}}]}`,
		"too many combinations":  `{"a":[1,2,3,4,5,6],"b":[1,2,3,4,5,6],"c":[1,2,3,4,5]}`,
	} {
		if _, bad := readFilter(policy, true); bad == nil || bad.Code != invalidParameter {
			t.Errorf("%s: error %v", name, bad)
		}
	}
}

func TestAnythingIsReadAsAFilterWithoutPanic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.SampledFrom([]string{`{`, `}`, `[`, `]`, `"a"`, `:`, `,`, `1`, `null`, `"prefix"`, `"anything-but"`, `"numeric"`, `">"`, `"exists"`, `true`})
		text := ""
		for _, p := range rapid.SliceOfN(part, 1, 30).Draw(t, "parts") {
			text += p
		}
		if f, bad := readFilter(text, true); bad == nil {
			f.takes(`{"a":{"a":[1,"x",null]}}`, nil)
		}
	})
}

func TestSchedules(t *testing.T) {
	for name, tt := range map[string]struct {
		schedule schedule
		tries    int
		least    time.Duration
		most     time.Duration
	}{
		"a customer's endpoint": {httpSchedule, 50, 6 * time.Hour, 7 * time.Hour},
		"AWS's own":             {managedSchedule, 100_015, 23 * 24 * time.Hour, 24 * 24 * time.Hour},
	} {
		n, all, last := 0, time.Duration(0), time.Duration(0)
		for {
			d, ok := tt.schedule.delay(n)
			if !ok {
				break
			}
			if d < last {
				t.Errorf("%s: try %d after %v, the one before after %v", name, n, d, last)
			}
			last, all = d, all+d
			n++
		}
		if n != tt.tries || all < tt.least || all > tt.most {
			t.Errorf("%s: %d tries in %v", name, n, all)
		}
	}
}
