package batch

// ages is a heap of open batches, the one with the oldest record first. Each knows its own index, so that it can be
// removed without a search.
type ages []*partition

func (a *ages) push(p *partition) {
	p.heap = int32(len(*a)) //nolint:gosec // far fewer partitions fit into memory
	*a = append(*a, p)
	a.up(int(p.heap))
}

// older restores the order after p's arrival became earlier.
func (a *ages) older(p *partition) { a.up(int(p.heap)) }

func (a *ages) remove(p *partition) {
	h := *a
	i, last := int(p.heap), len(h)-1
	h.swap(i, last)
	h[last] = nil
	*a = h[:last]
	if i < last {
		a.up(i)
		a.down(i)
	}
	if last == 0 {
		*a = nil // a burst of partitions must not hold its memory for ever
	}
}

func (a ages) swap(i, j int) {
	a[i], a[j] = a[j], a[i]
	a[i].heap, a[j].heap = int32(i), int32(j) //nolint:gosec // see push
}

func (a ages) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if a[parent].arrival <= a[i].arrival {
			return
		}
		a.swap(i, parent)
		i = parent
	}
}

func (a ages) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(a) {
			return
		}
		if child+1 < len(a) && a[child+1].arrival < a[child].arrival {
			child++
		}
		if a[i].arrival <= a[child].arrival {
			return
		}
		a.swap(i, child)
		i = child
	}
}
