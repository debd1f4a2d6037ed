package wire

import (
	"encoding/xml"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type pair struct{ Key, Value string }

type attribute struct {
	DataType    string
	StringValue string   `json:",omitempty"`
	BinaryValue []byte   `json:",omitempty"`
	ListValues  []string `json:",omitempty" query:"StringListValue,flat"`
}

type common struct {
	Token string `json:"NextToken,omitempty"`
}

// everything has each form that the tag can ask for; SQS's and SNS's are among them.
type everything struct {
	common
	Name    string `json:"RoleName"`
	Max     int32  `json:"MaxItems,omitzero"`
	Big     uint64 `json:",omitzero"`
	Ratio   float64
	On      *bool
	When    Epoch `json:",omitzero"`
	Data    []byte
	Inner   *pair
	Tags    []pair
	Names   []string
	Ids     []string             `json:"AttributeNames,omitempty" query:"AttributeName,flat"`
	Entries []pair               `query:"Entry,flat"`
	Items   []string             `query:",item=Item"`
	Plain   map[string]string    `json:",omitempty"`
	Attr    map[string]string    `json:"Attributes" query:"Attribute,flat,key=Name,value=Value"`
	Message map[string]attribute `query:"MessageAttributes,key=Name,value=Value"`
	Secret  string               `query:"-"`
	Hidden  string               `json:"-"`
}

// whole is filled in by wholeForm.
func whole() everything {
	on := true
	return everything{
		common: common{"t"}, Name: "r", Max: 7, Big: 1 << 63, Ratio: 0.5, On: &on, Data: []byte("\x00hello"), Inner: &pair{"a", "b"},
		When: Epoch{time.Date(2026, 11, 22, 13, 14, 15, 5e8, time.UTC)},
		Tags: []pair{{"k1", "v1"}, {"k2", "<&>"}}, Names: []string{"x", "y"}, Ids: []string{"All", "Other"},
		Entries: []pair{{"e", "1"}}, Items: []string{"i"}, Plain: map[string]string{"p": "q"},
		Attr:    map[string]string{"DelaySeconds": "5", "Policy": "{}"},
		Message: map[string]attribute{"m": {DataType: "String", StringValue: "s", ListValues: []string{"1", "2"}}},
	}
}

const wholeForm = `NextToken=t&RoleName=r&MaxItems=7&Big=9223372036854775808&Ratio=0.5&On=true&When=2026-11-22T13:14:15.5Z&Data=AGhlbGxv` +
	`&Inner.Key=a&Inner.Value=b&Tags.member.2.Key=k2&Tags.member.2.Value=%3C%26%3E&Tags.member.1.Key=k1&Tags.member.1.Value=v1` +
	`&Names.member.1=x&Names.member.2=y&AttributeName.1=All&AttributeName.2=Other&Entry.1.Key=e&Entry.1.Value=1&Items.Item.1=i` +
	`&Plain.entry.1.key=p&Plain.entry.1.value=q&Attribute.1.Name=DelaySeconds&Attribute.1.Value=5&Attribute.2.Name=Policy` +
	`&Attribute.2.Value=%7B%7D&MessageAttributes.entry.1.Name=m&MessageAttributes.entry.1.Value.DataType=String` +
	`&MessageAttributes.entry.1.Value.StringValue=s&MessageAttributes.entry.1.Value.StringListValue.1=1` +
	`&MessageAttributes.entry.1.Value.StringListValue.2=2&Action=Try&Version=2010&Secret=no&Hidden=no&Unknown.deep.1=x`

func decode(t *testing.T, form string, in any) error {
	t.Helper()
	values, err := url.ParseQuery(form)
	if err != nil {
		t.Fatal(err)
	}
	return decodeForm(&Call{HTTP: &http.Request{Form: values}}, in)
}

func TestAFormFillsTheStructThatJSONFillsToo(t *testing.T) {
	var got everything
	if err := decode(t, wholeForm, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(whole(), got, cmp.AllowUnexported(everything{})); diff != "" {
		t.Error(diff)
	}
}

func TestAnAnswerIsWrittenAsAWSWritesIt(t *testing.T) {
	c := &Call{Operation: "Try", RequestID: "id"}
	got, err := encodeXML(&Service{Namespace: "https://example.com/doc/"}, c, new(whole()))
	if err != nil {
		t.Fatal(err)
	}
	want := `<TryResponse xmlns="https://example.com/doc/"><TryResult><NextToken>t</NextToken><RoleName>r</RoleName><MaxItems>7</MaxItems>` +
		`<Big>9223372036854775808</Big><Ratio>0.5</Ratio><On>true</On><When>2026-11-22T13:14:15.500Z</When><Data>AGhlbGxv</Data>` +
		`<Inner><Key>a</Key><Value>b</Value></Inner>` +
		`<Tags><member><Key>k1</Key><Value>v1</Value></member><member><Key>k2</Key><Value>&lt;&amp;&gt;</Value></member></Tags>` +
		`<Names><member>x</member><member>y</member></Names><AttributeName>All</AttributeName><AttributeName>Other</AttributeName>` +
		`<Entry><Key>e</Key><Value>1</Value></Entry><Items><Item>i</Item></Items><Plain><entry><key>p</key><value>q</value></entry></Plain>` +
		`<Attribute><Name>DelaySeconds</Name><Value>5</Value></Attribute><Attribute><Name>Policy</Name><Value>{}</Value></Attribute>` +
		`<MessageAttributes><entry><Name>m</Name><Value><DataType>String</DataType><StringValue>s</StringValue>` +
		`<StringListValue>1</StringListValue><StringListValue>2</StringListValue></Value></entry></MessageAttributes>` +
		`</TryResult><ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></TryResponse>`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
	for name, out := range map[string]any{"nil": nil, "nil pointer": (*everything)(nil)} {
		got, err := encodeXML(&Service{}, c, out)
		if err != nil {
			t.Fatal(err)
		}
		if want := `<TryResponse><TryResult></TryResult><ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></TryResponse>`; string(got) != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	empty, err := encodeXML(&Service{}, c, &everything{})
	if err != nil {
		t.Fatal(err)
	}
	for _, absent := range []string{"NextToken", "MaxItems", "When", "On", "Inner", "AttributeName", "Plain", "Secret", "Hidden"} {
		if strings.Contains(string(empty), "<"+absent+">") {
			t.Errorf("%s stands in an answer that has none: %s", absent, empty)
		}
	}
	if !strings.Contains(string(empty), "<Tags></Tags>") {
		t.Errorf("an empty list is not there: %s", empty)
	}
}

func TestAFormThatIsWrongIsRefusedAndCostsWhatItIsLong(t *testing.T) {
	many := make([]string, maxFormValues+1)
	for i := range many {
		many[i] = "x" + strings.Repeat("y", i%40) + "." + time.Duration(i).String() + "=1"
	}
	for name, form := range map[string]string{
		"no number":                 "Max=1&MaxItems=seven",
		"too large a number":        "MaxItems=99999999999",
		"a negative size":           "Big=-1",
		"no boolean":                "On=perhaps",
		"no time":                   "When=yesterday",
		"no Base64":                 "Data=***",
		"a value for a struct":      "Inner=5",
		"names for a value":         "RoleName.member.1=5",
		"element zero":              "Names.member.0=x",
		"a negative element":        "Names.member.-1=x",
		"an element by name":        "Names.member.first=x",
		"an element in two ways":    "Names.member.01=x&Names.member.1=y",
		"an element beyond 32 bits": "Names.member.99999999999=x",
		"a pair without its value":  "Plain.entry.1.key=p",
		"a name that is too deep":   "A" + strings.Repeat(".a", maxFormDepth+1) + "=1",
		"a name that is too long":   strings.Repeat("a", maxFormName+1) + "=1",
	} {
		t.Run(name, func(t *testing.T) {
			err := decode(t, form, new(everything))
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Code != "MalformedInput" {
				t.Errorf("got %v", err)
			}
		})
	}
	values := make(url.Values)
	for _, m := range many {
		values.Set(m, "1")
	}
	if _, err := readForm(values); err == nil {
		t.Error("more values than the bound are taken")
	}
	var got everything
	if err := decode(t, "Names.member.999999999=last&Names.member.5=first&Tags=", &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Names) != 2 || got.Names[0] != "first" || got.Names[1] != "last" || got.Tags == nil || len(got.Tags) != 0 {
		t.Errorf("got %q and %#v", got.Names, got.Tags)
	}
}

func TestAnErrorInQueryHasItsCodeAndIsEscaped(t *testing.T) {
	c := &Call{RequestID: "id"}
	for name, e := range map[string]*Error{
		"<Type>Sender</Type><Code>AccessDenied</Code><Message>a &lt; b</Message>":  StatusErrorf(403, "AccessDeniedException", "a < b"),
		"<Type>Sender</Type><Code>Old</Code><Message></Message>":                   {Code: "New", QueryCode: "Old"},
		"<Type>Receiver</Type><Code>InternalFailure</Code><Message>down</Message>": StatusErrorf(500, "InternalFailure", "down"),
	} {
		got := errorXML(&Service{Namespace: "n"}, c, e)
		if want := `<ErrorResponse xmlns="n"><Error>` + name + `</Error><RequestId>id</RequestId></ErrorResponse>`; string(got) != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func FuzzForm(f *testing.F) {
	f.Add(wholeForm)
	f.Add("Names.member.999999999=x&Tags.member.1.Key.Key=1&Attribute.1=&MessageAttributes.entry.1.Value=5")
	f.Fuzz(func(t *testing.T, form string) {
		values, err := url.ParseQuery(form)
		if err != nil {
			return
		}
		var in everything
		if decodeForm(&Call{HTTP: &http.Request{Form: values}}, &in) != nil {
			return
		}
		out, err := encodeXML(&Service{}, &Call{Operation: "Try"}, &in)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if err := xml.Unmarshal(out, new(struct{})); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	})
}
