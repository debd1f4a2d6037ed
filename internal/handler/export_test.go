package handler

// Bound makes the answers to Firehose smaller than most bytes, instead of Lambda's 6 MB.
func (h *Handler) Bound(most int) *Handler {
	h.most = most
	return h
}

// MaxAnswer is the bound that handlers have.
const MaxAnswer = maxAnswer
