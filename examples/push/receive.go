// Takes connections that another process hands over (plain mode of Holdfast's push) and echoes what they say.
//
//	go run receive.go /run/echo.sock
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
)

// What comes with a connection. Base64 becomes bytes by itself.
type told struct {
	Kind     string          `json:"kind"`
	Metadata json.RawMessage `json:"metadata"`
	Prefix   []byte          `json:"prefix"`
}

// One line of JSON with one descriptor, which comes with the line's first byte.
func receive(channel *net.UnixConn) (line []byte, descriptors []int, err error) {
	buffer, control := make([]byte, 65536), make([]byte, syscall.CmsgSpace(4*4))
	for !bytes.HasSuffix(line, []byte("\n")) {
		count, rights, _, _, err := channel.ReadMsgUnix(buffer, control)
		messages, _ := syscall.ParseSocketControlMessage(control[:rights])
		for _, message := range messages {
			arrived, _ := syscall.ParseUnixRights(&message)
			descriptors = append(descriptors, arrived...)
		}
		if err != nil || count == 0 {
			return nil, descriptors, io.EOF
		}
		line = append(line, buffer[:count]...)
	}
	return line, descriptors, nil
}

// The connection, which is not this process's before it has answered.
func adopt(line []byte, descriptors []int) (net.Conn, []byte, error) {
	var said told
	if err := json.Unmarshal(line, &said); err != nil || said.Kind != "stream" || len(descriptors) != 1 {
		return nil, nil, fmt.Errorf("not a connection: %q with %d descriptors", line, len(descriptors))
	}
	file := os.NewFile(uintptr(descriptors[0]), "pushed")
	// This makes a descriptor of its own.
	connection, err := net.FileConn(file)
	return connection, said.Prefix, err
}

func echo(connection net.Conn, prefix []byte) {
	defer connection.Close()
	connection.Write(prefix)
	io.Copy(connection, connection)
}

func take(channel *net.UnixConn) {
	defer channel.Close()
	for {
		line, descriptors, err := receive(channel)
		var connection net.Conn
		var prefix []byte
		if err == nil {
			connection, prefix, err = adopt(line, descriptors)
		}
		for _, fd := range descriptors {
			syscall.Close(fd)
		}
		switch {
		case err == io.EOF:
			return
		case err != nil:
			fmt.Fprintln(os.Stderr, err)
			channel.Write([]byte{0x15})
		default:
			if _, err := channel.Write([]byte{0x06}); err != nil {
				connection.Close() // where that does not get through, it is not ours
				return
			}
			go echo(connection, prefix)
		}
	}
}

func main() {
	path := os.Args[1]
	os.Remove(path)
	syscall.Umask(0o077) // sockets come from our own user only
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		panic(err)
	}
	fmt.Println("ready")
	for {
		channel, err := listener.AcceptUnix()
		if err != nil {
			panic(err)
		}
		go take(channel)
	}
}
