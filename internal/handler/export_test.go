package handler

// Piecewise puts lines as soon as there are so many bytes of them, instead of 32 MiB.
func (h *Handler) Piecewise(pending int) *Handler {
	h.pending = pending
	return h
}

// Bound makes the answers to Firehose smaller than most bytes, instead of Lambda's 6 MB.
func (h *Handler) Bound(most int) *Handler {
	h.most = most
	return h
}

// MaxAnswer is the bound that handlers have.
const MaxAnswer = maxAnswer
