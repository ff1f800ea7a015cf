/*
 * banned.h - functions that have no safe use here become compile errors
 *
 * Every .c file of src/ includes it last, after the system headers that declare these names.
 */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

/* with fortified headers some of them are macros, which cannot be poisoned */
#undef strcpy
#undef strcat
#undef sprintf
#undef vsprintf
#undef strtok

#pragma GCC poison strcpy strcat sprintf vsprintf strtok gets gmtime localtime ctime asctime \
	tmpnam mktemp

#endif
