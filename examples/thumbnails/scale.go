package main

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	_ "image/gif" // its first frame
	"image/jpeg"
	"image/png"

	"golang.org/x/image/draw"
)

const (
	imageBytesMax = 10 << 20
	pixelsMax     = 40_000_000 // of an image: decoded, that is up to 320 MB
	jpegQuality   = 85
)

// sizes are the longer sides of the thumbnails, in pixels, the largest first.
var sizes = []int{480, 240, 96}

// check looks at the head of an image only. The error says in a sentence what
// is wrong with it: head and length are cheap to look at, and a few bytes can
// claim to be a billion pixels.
func check(body []byte) (image.Config, error) {
	if len(body) > imageBytesMax {
		return image.Config{}, fmt.Errorf("it has more than %d MiB", imageBytesMax>>20)
	}
	config, _, err := image.DecodeConfig(bytes.NewReader(body))
	switch {
	case errors.Is(err, image.ErrFormat):
		return config, errors.New("it is not a JPEG, PNG or GIF image")
	case err != nil:
		return config, fmt.Errorf("its head cannot be read: %w", err)
	case config.Width < 1 || config.Height < 1:
		return config, errors.New("it has no pixels")
	case config.Width > pixelsMax/config.Height:
		return config, fmt.Errorf("%d × %d pixels are more than %d million", config.Width, config.Height, pixelsMax/1_000_000)
	}
	return config, nil
}

// thumbnails returns the image at each of sizes, as JPEG, or as PNG where it is
// transparent. After each step it calls report, whose error ends it.
func thumbnails(body []byte, report func(percent int, step string) error) ([][]byte, error) {
	config, err := check(body)
	if err != nil {
		return nil, err
	}
	steps := plan(config.Width, config.Height)
	if err := report(0, fmt.Sprintf("reads %d × %d pixels", config.Width, config.Height)); err != nil {
		return nil, err
	}
	from, _, err := image.Decode(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("it cannot be read: %w", err)
	}
	var thumbs [][]byte
	for i, s := range steps {
		to := image.NewRGBA(image.Rect(0, 0, s.width, s.height))
		s.scaler.Scale(to, to.Rect, from, from.Bounds(), draw.Src, nil)
		if from = to; s.final {
			thumb, err := encode(to)
			if err != nil {
				return nil, err
			}
			thumbs = append(thumbs, thumb)
		}
		if err := report(100*(i+1)/len(steps), fmt.Sprintf("scaled to %d × %d", s.width, s.height)); err != nil {
			return nil, err
		}
	}
	return thumbs, nil
}

// A step scales what the one before has made.
type step struct {
	width, height int
	scaler        draw.Scaler
	final         bool // it is a thumbnail
}

// plan halves an image until the next thumbnail is near, which is fast and
// looks at every pixel, and makes the thumbnail with the slow and sharp scaler.
// Nothing is made larger than it is.
func plan(width, height int) (steps []step) {
	for _, size := range sizes {
		for max(width, height) > 2*size {
			width, height = max(1, (width+1)/2), max(1, (height+1)/2)
			steps = append(steps, step{width, height, draw.ApproxBiLinear, false})
		}
		if longer := max(width, height); longer > size {
			width, height = max(1, (width*size+longer/2)/longer), max(1, (height*size+longer/2)/longer)
		}
		steps = append(steps, step{width, height, draw.CatmullRom, true})
	}
	return steps
}

func encode(m *image.RGBA) ([]byte, error) {
	var b bytes.Buffer
	if m.Opaque() {
		err := jpeg.Encode(&b, m, &jpeg.Options{Quality: jpegQuality})
		return b.Bytes(), err
	}
	err := png.Encode(&b, m)
	return b.Bytes(), err
}
