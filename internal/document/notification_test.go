package document_test

import (
	"testing"

	"example.org/catchment/internal/document"
)

func TestNotificationTakesTheMessageOutOfSNSsEnvelope(t *testing.T) {
	for name, tt := range map[string]struct{ in, want string }{
		"a notification":               {`{"Type":"Notification","MessageId":"1","TopicArn":"arn:aws:sns:eu-west-1:1:t","Message":"{\"id\":\"1\"}"}`, `{"id":"1"}`},
		"an event":                     {`{"id":"1","detail":{}}`, `{"id":"1","detail":{}}`},
		"an event that says the word":  {`{"id":"1","detail":{"Type":"Notification"}}`, `{"id":"1","detail":{"Type":"Notification"}}`},
		"a notification without topic": {`{"Type":"Notification","Message":"x"}`, `{"Type":"Notification","Message":"x"}`},
		"something broken":             {`{"Type":"Notification",`, `{"Type":"Notification",`},
		"nothing":                      {``, ``},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(document.Notification([]byte(tt.in))); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
