/* bcryptprimitives.dll, which Wine 8 has not: the one function of it that the Windows build of Deno calls. */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID, ULONG); /* RtlGenRandom of advapi32.dll */

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE out, SIZE_T size) {
  while (size > 0) {
    ULONG part = size > 0x10000000 ? 0x10000000 : (ULONG)size;
    if (!SystemFunction036(out, part)) return FALSE;
    out += part;
    size -= part;
  }
  return TRUE;
}
