/* Accepts connections and hands each of them over to another process (plain mode of Holdfast's push).
 *
 *     cc -o send send.c && ./send /run/echo.sock 8080
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* One line of JSON, and one descriptor with it. */
static int hand_over(int channel, int fd) {
  char line[] = "{\"kind\":\"stream\",\"metadata\":\"from C\"}\n", answer = 0;
  struct iovec part = {line, sizeof line - 1};
  union { char room[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control = {{0}};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  struct cmsghdr *c = CMSG_FIRSTHDR(&message);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(c), &fd, sizeof fd);
  if (sendmsg(channel, &message, MSG_NOSIGNAL) != sizeof line - 1) return -1;
  /* It is the other process's when that says so; closing it before could lose it. */
  return read(channel, &answer, 1) == 1 && answer == 6 ? 0 : -1;
}

int main(int count, char **arguments) {
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof at;
  if (count != 3 || strlen(arguments[1]) >= sizeof to.sun_path) return 2;
  strcpy(to.sun_path, arguments[1]);
  at.sin_port = htons(atoi(arguments[2]));
  int channel = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(channel, (struct sockaddr *)&to, sizeof to)) return 1;
  if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 512)) return 1;
  getsockname(listener, (struct sockaddr *)&at, &size);
  printf("ready %d\n", ntohs(at.sin_port));
  fflush(stdout);
  for (int fd; (fd = accept(listener, NULL, NULL)) >= 0; close(fd))
    if (hand_over(channel, fd)) fputs("refused\n", stderr);
  return 1;
}
