package events

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	rateForm = regexp.MustCompile(`^rate\((\d{1,9}) (minute|hour|day)(s?)\)$`)
	cronForm = regexp.MustCompile(`^cron\(([^()]+)\)$`)
	// cronField is one of the six fields: minutes, hours, day of the month, month, day of the week, year.
	cronField = regexp.MustCompile(`^(?:\?|[0-9A-Z*,/#\-]+)$`)
)

// parseSchedule reads a rate() or cron() expression. cron() gives 0: it is accepted and never fires.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-rule-schedule.html
func parseSchedule(text string) (time.Duration, error) {
	refused := invalid("Parameter ScheduleExpression is not valid.")
	if m := rateForm.FindStringSubmatch(text); m != nil {
		n, err := strconv.Atoi(m[1])
		if err != nil || n == 0 || (n == 1) != (m[3] == "") {
			return 0, refused
		}
		unit := map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}[m[2]]
		if n > int(100*365*24*time.Hour/unit) {
			return 0, refused
		}
		return time.Duration(n) * unit, nil
	}
	m := cronForm.FindStringSubmatch(text)
	if m == nil {
		return 0, refused
	}
	fields := strings.Fields(m[1])
	if len(fields) != 6 || (fields[2] == "?") == (fields[4] == "?") {
		return 0, refused
	}
	for _, f := range fields {
		if !cronField.MatchString(f) {
			return 0, refused
		}
	}
	return 0, nil
}

// tick makes a rule with a rate fire from now on, until it is changed or gone. Requires s.mu.
func (s *Service) tick(l *liveRule) {
	s.cloud.Clock.After(l.every, func(context.Context) {
		s.mu.Lock()
		defer s.mu.Unlock()
		current := l.bus.live[l.name]
		if current == nil || current.chain != l.chain || s.places[l.bus.at].buses[l.bus.name] != l.bus {
			return
		}
		envelope := s.cloud.Envelop(l.bus.at, "aws.events", "Scheduled Event", []string{l.arn}, []byte("{}"))
		if body, err := marshalEnvelope(&envelope); err == nil {
			s.trigger(current, event{body: body, at: s.now()})
		}
		s.tick(current)
	})
}
