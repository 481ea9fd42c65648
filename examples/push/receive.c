/* Takes connections that another process hands over (plain mode of Holdfast's push) and echoes what they say.
 *
 *     cc -o receive receive.c && ./receive /run/echo.sock
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <fcntl.h>
#include <unistd.h>

#define LONGEST 262144

static void write_all(int fd, const char *bytes, ssize_t size) {
  for (ssize_t done; size > 0; bytes += done, size -= done)
    if ((done = write(fd, bytes, size)) <= 0) exit(1);
}

/* Each connection is echoed by a process of its own. */
static void echo(int fd, const char *prefix, size_t size) {
  static char buffer[65536];
  ssize_t count;
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
  write_all(fd, prefix, size);
  while ((count = read(fd, buffer, sizeof buffer)) > 0) write_all(fd, buffer, count);
  exit(0);
}

/* Base64 up to the first character that is none. */
static size_t decode(const char *text, char *bytes) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  unsigned bits = 0, have = 0;
  size_t size = 0;
  for (const char *at; *text && (at = strchr(digits, *text)); text++) {
    bits = bits << 6 | (unsigned)(at - digits);
    if ((have += 6) >= 8) bytes[size++] = bits >> (have -= 8) & 255;
  }
  return size;
}

/* One line of JSON with one descriptor, which comes with the line's first byte; -1 at the end. */
static int receive_line(int channel, char *line) {
  size_t size = 0;
  int fd = -1;
  while (size == 0 || line[size - 1] != '\n') {
    struct iovec part = {line + size, LONGEST - 1 - size};
    union { char room[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control;
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t count = size < LONGEST - 1 ? recvmsg(channel, &message, MSG_CMSG_CLOEXEC) : 0;
    if (count <= 0) exit(0); /* who has not been answered keeps the connection */
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
      if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
      if (c->cmsg_len != CMSG_LEN(sizeof(int)) || fd >= 0) exit(1); /* more than one: leave, which closes all */
      memcpy(&fd, CMSG_DATA(c), sizeof fd);
    }
    size += count;
  }
  line[size] = 0;
  return fd;
}

static void take(int channel) {
  static char line[LONGEST], prefix[LONGEST];
  while (1) {
    int fd = receive_line(channel, line);
    /* What was read already stands last. Metadata with a "prefix" of its own takes a real reader of JSON. */
    char *found = NULL;
    for (char *at = line; (at = strstr(at, "\"prefix\":")); at++) found = at + 9;
    size_t size = found && (found = strchr(found, '"')) ? decode(found + 1, prefix) : 0;
    int ours = fd >= 0 && strstr(line, "\"kind\":\"stream\"");
    write_all(channel, ours ? "\x06" : "\x15", 1); /* where that does not get through, this ends: it is not ours */
    if (ours && fork() == 0) {
      close(channel);
      echo(fd, prefix, size);
    }
    if (fd >= 0) close(fd);
  }
}

int main(int count, char **arguments) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (count != 2 || strlen(arguments[1]) >= sizeof address.sun_path) return 2;
  strcpy(address.sun_path, arguments[1]);
  unlink(address.sun_path);
  umask(077); /* sockets come from our own user only */
  signal(SIGCHLD, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 16)) return 1;
  puts("ready");
  fflush(stdout);
  for (int channel; (channel = accept(listener, NULL, NULL)) >= 0; close(channel))
    if (fork() == 0) {
      close(listener);
      take(channel);
    }
  return 1;
}
