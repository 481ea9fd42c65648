// Accepts connections and hands each of them over to another process (plain mode of Holdfast's push).
//
//	go run send.go /run/echo.sock 127.0.0.1:8080
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"syscall"
)

// One line of JSON, and one descriptor with it.
func handOver(channel *net.UnixConn, connection *net.TCPConn) error {
	defer connection.Close()
	line, _ := json.Marshal(map[string]any{"kind": "stream", "metadata": connection.RemoteAddr().String()})
	raw, err := connection.SyscallConn()
	if err != nil {
		return err
	}
	controlErr := raw.Control(func(fd uintptr) {
		_, _, err = channel.WriteMsgUnix(append(line, '\n'), syscall.UnixRights(int(fd)), nil)
	})
	if controlErr != nil || err != nil {
		return fmt.Errorf("not sent: %v %v", controlErr, err)
	}
	// It is the other process's when that says so; closing it before could lose it.
	answer := make([]byte, 1)
	if _, err := channel.Read(answer); err != nil || answer[0] != 0x06 {
		return fmt.Errorf("refused: %v %v", answer, err)
	}
	return nil
}

func main() {
	channel, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: os.Args[1], Net: "unix"})
	if err != nil {
		panic(err)
	}
	listener, err := net.Listen("tcp", os.Args[2])
	if err != nil {
		panic(err)
	}
	fmt.Println("ready", listener.Addr().(*net.TCPAddr).Port)
	for {
		connection, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		if err := handOver(channel, connection.(*net.TCPConn)); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}
