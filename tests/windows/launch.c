/*
 * Runs a Windows program, and writes its exit code to a file: launch.exe REPORT PROGRAM [ARGUMENT...].
 *
 * The exit status of its Unix process tells nothing: the server of Wine kills whatever is still there about a second
 * after it ended as a Windows process, which a loaded machine has to be given longer for. What the program started ends
 * with it, and all of it ends when this one is killed.
 */
#include <stdio.h>
#include <windows.h>

static int failed(const char *what) {
  fprintf(stderr, "launch: Cannot %s: error %lu\n", what, GetLastError());
  return 1;
}

/* Where the argument after this one begins; quotes as CommandLineToArgvW has them, but for those in an argument. */
static WCHAR *next(WCHAR *line) {
  BOOL quoted = FALSE;
  for (; *line && (quoted || (*line != L' ' && *line != L'\t')); line++)
    if (*line == L'"') quoted = !quoted;
  while (*line == L' ' || *line == L'\t') line++;
  return line;
}

static BOOL report(const WCHAR *path, DWORD code) {
  char text[16];
  DWORD written, size = snprintf(text, sizeof text, "%lu\n", code);
  HANDLE file = CreateFileW(path, GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, FILE_ATTRIBUTE_NORMAL, NULL);
  return file != INVALID_HANDLE_VALUE && WriteFile(file, text, size, &written, NULL) && written == size &&
         CloseHandle(file);
}

int wmain(int argc, WCHAR **argv) {
  if (argc < 3) return fprintf(stderr, "Usage: launch REPORT PROGRAM [ARGUMENT...]\n"), 2;
  WCHAR *line = next(next(GetCommandLineW()));
  STARTUPINFOW start = {.cb = sizeof start, .dwFlags = STARTF_USESTDHANDLES};
  start.hStdInput = GetStdHandle(STD_INPUT_HANDLE);
  start.hStdOutput = GetStdHandle(STD_OUTPUT_HANDLE);
  start.hStdError = GetStdHandle(STD_ERROR_HANDLE);
  HANDLE all[] = {start.hStdInput, start.hStdOutput, start.hStdError};
  for (int i = 0; i < 3; i++) SetHandleInformation(all[i], HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);

  JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = {0};
  limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
  HANDLE job = CreateJobObjectW(NULL, NULL);
  if (!job || !SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limits, sizeof limits))
    return failed("make a job");

  PROCESS_INFORMATION process;
  if (!CreateProcessW(NULL, line, NULL, NULL, TRUE, CREATE_SUSPENDED, NULL, NULL, &start, &process))
    return failed("start the program");
  if (!AssignProcessToJobObject(job, process.hProcess)) {
    int code = failed("put the program into the job");
    TerminateProcess(process.hProcess, 1);
    return code;
  }
  DWORD code;
  if (ResumeThread(process.hThread) == (DWORD)-1) return failed("let the program run");
  if (WaitForSingleObject(process.hProcess, INFINITE) != WAIT_OBJECT_0) return failed("wait for the program");
  if (!GetExitCodeProcess(process.hProcess, &code)) return failed("read the exit code");
  if (!report(argv[1], code)) return failed("report the exit code");
  return 0;
}
