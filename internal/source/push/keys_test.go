package push

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func basic(user, password string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func TestKeys(t *testing.T) {
	const second = "fedcba9876543210:second"
	var told []Request
	s := newSource(t, Options{
		KeysFile: keysFile(t, "# before and after the rotation", "", testKey, "bus:"+second, "bus:"+testKey+"-new"),
		Events:   Events{Request: func(r Request) { told = append(told, r) }},
	})
	for name, tt := range map[string]struct {
		header []string
		status int
		key    string
	}{
		"none":                                      {nil, 401, ""},
		"an API key of EventBridge":                 {[]string{"X-Api-Key: " + testKey}, 200, ""},
		"the next key of a rotation":                {[]string{"X-Api-Key: " + testKey + "-new"}, 200, "bus"},
		"Firehose's access key":                     {[]string{"X-Amz-Firehose-Access-Key: " + testKey}, 200, ""},
		"a bearer token":                            {[]string{"Authorization: Bearer " + testKey}, 200, ""},
		"bearer in small letters":                   {[]string{"authorization: bearer " + testKey}, 200, ""},
		"basic, with a colon in the password":       {[]string{basic("anyone", second)}, 200, "bus"},
		"basic without a user name":                 {[]string{basic("", testKey)}, 200, ""},
		"a right one beside one of a proxy":         {[]string{"Authorization: Bearer proxy", "X-Api-Key: " + testKey}, 200, ""},
		"the key with its name":                     {[]string{"X-Api-Key: bus:" + second}, 403, ""},
		"a part of the key":                         {[]string{"X-Api-Key: " + testKey[:16]}, 403, ""},
		"the key and more":                          {[]string{"X-Api-Key: " + testKey + "x"}, 403, ""},
		"an empty key":                              {[]string{"X-Api-Key: "}, 403, ""},
		"the key where the user name should be":     {[]string{basic(testKey, "")}, 403, ""},
		"basic that is no base64":                   {[]string{"Authorization: Basic " + testKey}, 403, ""},
		"a scheme that is not known":                {[]string{"Authorization: Digest " + testKey}, 403, ""},
		"the scheme alone":                          {[]string{"Authorization: Bearer"}, 403, ""},
		"two keys in one header, the first right":   {[]string{"X-Api-Key: " + testKey, "X-Api-Key: x"}, 400, ""},
		"two keys in one header, the second right":  {[]string{"X-Api-Key: x", "X-Api-Key: " + testKey}, 400, ""},
		"a comment of the file":                     {[]string{"X-Api-Key: # before and after the rotation"}, 403, ""},
		"a key from a browser: whoever has one may": {[]string{"X-Api-Key: " + testKey, "Origin: https://example.org"}, 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			told = nil
			var got seen
			w := post(t, s.Handler(got.deliver), PathEvents, header(tt.header...), []byte("{}"))
			if w.Code != tt.status {
				t.Errorf("status %d, want %d: %s", w.Code, tt.status, w.Body)
			}
			if (got.calls > 0) != (tt.status == 200) {
				t.Errorf("delivered %d times", got.calls)
			}
			if told[0].Key != tt.key {
				t.Errorf("key %q, want %q", told[0].Key, tt.key)
			}
			if challenge := w.Header().Get("WWW-Authenticate"); (challenge != "") != (tt.status == 401) {
				t.Errorf("WWW-Authenticate %q", challenge)
			}
			for _, secret := range []string{testKey[:16], second} {
				if strings.Contains(w.Body.String()+fmt.Sprint(w.Header(), told), secret) {
					t.Errorf("the answer or its event holds a key: %s", w.Body)
				}
			}
		})
	}
}

func TestKeysFileIsStrictAndQuotesNothing(t *testing.T) {
	secret := "s3cr3t-but-much-too-"
	for name, tt := range map[string]struct {
		content string
		keys    int
		want    string
	}{
		"keys, comments, blank lines":  {"# x\r\n\r\n  " + testKey + " \r\na.b-c_D:" + testKey + "\n", 2, ""},
		"a short key":                  {"\n" + secret[:15], 0, "line 2: a key has 16 to 4096 characters, not 15"},
		"a long key":                   {strings.Repeat("x", 4097), 0, "line 1: a key has 16 to 4096 characters, not 4097"},
		"a key with a space":           {secret + " " + secret, 0, "line 1: a key is printable ASCII without white space"},
		"a key that is not ASCII":      {secret + "é", 0, "line 1: a key is printable ASCII"},
		"no name before the colon":     {":" + secret, 0, "line 1: a name before ':'"},
		"a name with a space":          {"my bus:" + secret, 0, "line 1: a name before ':'"},
		"several faults, all are told": {"x\n" + testKey + "\ny", 0, "line 3"},
		"nothing":                      {"", 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			keys, err := ParseKeys([]byte(tt.content))
			switch {
			case tt.want == "" && (err != nil || len(keys) != tt.keys):
				t.Errorf("%d keys, %v, want %d", len(keys), err, tt.keys)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error %v, want %q", err, tt.want)
			case err != nil && strings.Contains(err.Error(), "s3cr3t"):
				t.Errorf("error quotes a key: %v", err)
			}
		})
	}
}

func TestKeysFileIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		name := keysFile(t, testKey)
		var reloads []error
		s := newSource(t, Options{KeysFile: name, Events: Events{Reloaded: func(r Reloaded) { reloads = append(reloads, r.Err) }}})
		var got seen
		status := func(key string) int {
			t.Helper()
			<-time.After(checkEvery)
			return post(t, s.Handler(got.deliver), PathEvents, header("X-Api-Key: "+key), []byte("{}")).Code
		}
		write := func(content string) {
			t.Helper()
			// As tools do it: the new file takes the old one's place.
			next := filepath.Join(filepath.Dir(name), "next")
			if err := os.WriteFile(next, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(next, name); err != nil {
				t.Fatal(err)
			}
		}
		other := testKey + "-other"
		if got := status(testKey); got != 200 || len(reloads) != 0 {
			t.Errorf("before the change: status %d, %d reloads", got, len(reloads))
		}
		write(other)
		if a, b := status(testKey), status(other); a != 403 || b != 200 {
			t.Errorf("after the change: old key %d, new key %d, want 403 and 200", a, b)
		}
		write("short")
		if got := status(other); got != 200 || len(reloads) != 2 || reloads[1] == nil {
			t.Errorf("after a broken file: status %d, reloads %v; want the old keys and an error", got, reloads)
		}
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		if got := status(other); got != 200 {
			t.Errorf("without the file: status %d, want the old keys", got)
		}
		write("# all taken away\n")
		if got := status(other); got != 403 {
			t.Errorf("after the last key was taken away: status %d, want 403", got)
		}
	})
}

func TestWithoutKeysOnlyThisMachineIsLetIn(t *testing.T) {
	for name, tt := range map[string]struct {
		addr     net.Addr
		insecure bool
		keys     bool
		refused  bool
	}{
		"loopback":                     {addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}},
		"another loopback":             {addr: &net.TCPAddr{IP: net.IPv4(127, 1, 2, 3)}},
		"loopback of IPv6":             {addr: &net.TCPAddr{IP: net.IPv6loopback}},
		"a unix socket":                {addr: &net.UnixAddr{Name: "/run/catchment"}},
		"all addresses":                {addr: &net.TCPAddr{IP: net.IPv4zero}, refused: true},
		"all addresses of IPv6":        {addr: &net.TCPAddr{IP: net.IPv6zero}, refused: true},
		"no address":                   {addr: &net.TCPAddr{}, refused: true},
		"a private network":            {addr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1)}, refused: true},
		"all addresses, on purpose":    {addr: &net.TCPAddr{IP: net.IPv4zero}, insecure: true},
		"all addresses, but with keys": {addr: &net.TCPAddr{IP: net.IPv4zero}, keys: true},
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{Listener: &pipes{addr: tt.addr}, Insecure: tt.insecure}
			if tt.keys {
				o.KeysFile = keysFile(t, testKey)
			}
			_, err := New(o)
			if errors.Is(err, ErrNoKeys) != tt.refused {
				t.Errorf("New: %v", err)
			}
		})
	}
}

func TestWithoutKeysABrowserIsNotLetIn(t *testing.T) {
	var got seen
	s := newSource(t, Options{})
	for _, line := range []string{"Origin: http://localhost:8480", "Origin: null", "Sec-Fetch-Site: cross-site"} {
		if w := post(t, s.Handler(got.deliver), PathEvents, header(line), []byte("{}")); w.Code != http.StatusForbidden {
			t.Errorf("%s: status %d, want 403", line, w.Code)
		}
	}
	if got.calls != 0 {
		t.Error("something was delivered")
	}
}

func TestNewTellsWhatIsWrong(t *testing.T) {
	empty := keysFile(t, "# nothing yet")
	for name, tt := range map[string]struct {
		o    Options
		want string
	}{
		"no such keys file":       {Options{KeysFile: filepath.Join(t.TempDir(), "keys")}, "no such file"},
		"a keys file without one": {Options{KeysFile: empty}, "no key in it"},
		"half of TLS":             {Options{CertFile: empty}, "both a certificate file and a key file"},
		"no certificate":          {Options{CertFile: empty, KeyFile: empty}, "tls:"},
		"bodies without a bound":  {Options{MaxBody: 1 << 40}, "expected 1073741824 at most"},
		"no ARN":                  {Options{Topics: []string{"findings"}}, `topic "findings": expected arn:PARTITION:sns:REGION:ACCOUNT:NAME`},
		"another service's ARN":   {Options{Topics: []string{strings.Replace(testTopic, ":sns:", ":sqs:", 1)}}, "expected arn:"},
		"a pattern":               {Options{Topics: []string{strings.Replace(testTopic, "findings", "*", 1)}}, "expected arn:"},
		"a partition of no one":   {Options{Topics: []string{strings.Replace(testTopic, ":aws:", ":awz:", 1)}}, `unknown partition "awz"`},
		"a region elsewhere":      {Options{Topics: []string{strings.Replace(testTopic, ":aws:", ":aws-cn:", 1)}}, `partition aws-cn has no region "us-east-1"`},
		"a bucket for a region":   {Options{Topics: []string{strings.Replace(testTopic, "us-east-1", "s3-us-west-2", 1)}}, `has no region "s3-us-west-2"`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := New(tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New: %v, want %q", err, tt.want)
			}
		})
	}
}
