#include "textflag.h"

// One block of 16 bytes at off(SI) becomes 16 bits in out: bytes that are a quote (X0) or a backslash (X1), or that are
// less than a space (X2) as signed numbers, which both control characters and bytes from 0x80 on are.
#define SIXTEEN(off, out) \
	MOVOU   off(SI), X3 \
	MOVO    X3, X4      \
	MOVO    X2, X5      \
	PCMPEQB X0, X4      \
	PCMPGTB X3, X5      \
	PCMPEQB X1, X3      \
	POR     X4, X5      \
	POR     X3, X5      \
	PMOVMSKB X5, out

// func findStopsSSE2(masks *[16]uint64, b *byte, blocks int)
TEXT ·findStopsSSE2(SB), NOSPLIT, $0-24
	MOVQ masks+0(FP), DI
	MOVQ b+8(FP), SI
	MOVQ blocks+16(FP), CX
	MOVQ $0x2222222222222222, AX
	MOVQ AX, X0
	PUNPCKLQDQ X0, X0
	MOVQ $0x5c5c5c5c5c5c5c5c, AX
	MOVQ AX, X1
	PUNPCKLQDQ X1, X1
	MOVQ $0x2020202020202020, AX
	MOVQ AX, X2
	PUNPCKLQDQ X2, X2

loop:
	SIXTEEN(0, AX)
	SIXTEEN(16, BX)
	SIXTEEN(32, DX)
	SIXTEEN(48, R8)
	SHLQ $16, BX
	SHLQ $32, DX
	SHLQ $48, R8
	ORQ  BX, AX
	ORQ  DX, AX
	ORQ  R8, AX
	MOVQ AX, (DI)
	ADDQ $64, SI
	ADDQ $8, DI
	DECQ CX
	JNZ  loop
	RET
